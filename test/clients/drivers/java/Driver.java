import com.jcraft.jsch.Channel;
import com.jcraft.jsch.ChannelDirectTCPIP;
import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.ChannelSftp;
import com.jcraft.jsch.ChannelShell;
import com.jcraft.jsch.ChannelSubsystem;
import com.jcraft.jsch.HostKey;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Session;
import com.jcraft.jsch.UIKeyboardInteractive;
import com.jcraft.jsch.UserInfo;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/** An SSH client on JSch that does one task; peers/driver.ts says what its arguments mean. */
public final class Driver {
  private final String[] words;

  private Driver(String[] words) {
    this.words = words;
  }

  public static void main(String[] words) {
    try {
      System.exit(new Driver(words).run());
    } catch (Exception error) {
      System.err.println(error);
      System.exit(255);
    }
  }

  private List<String> all(String name) {
    List<String> values = new ArrayList<>();
    for (String word : words) {
      if (word.startsWith(name + "=")) values.add(word.substring(name.length() + 1));
    }
    return values;
  }

  private String one(String name) {
    List<String> values = all(name);
    return values.isEmpty() ? null : values.get(0);
  }

  private int run() throws Exception {
    if (one("task").equals("algorithms")) return printAlgorithms();
    Session session = connect();
    try {
      switch (one("task")) {
        case "run":
          return runOne(session);
        case "connect":
          return carryTo(session);
        case "transfer":
          return transfer(session);
        case "forward":
          return forward(session);
        case "parallel":
          return parallel(session);
        default:
          throw new IllegalArgumentException("no such task");
      }
    } finally {
      session.disconnect();
    }
  }

  private int printAlgorithms() {
    String[][] lists = {
      {"kex", "kex"},
      {"hostKeys", "server_host_key"},
      {"ciphers", "cipher.c2s"},
      {"macs", "mac.c2s"},
      {"publicKeys", "PubkeyAcceptedAlgorithms"},
    };
    for (String[] list : lists) System.out.println(list[0] + "=" + JSch.getConfig(list[1]));
    return 0;
  }

  private Session connect() throws Exception {
    JSch jsch = new JSch();
    String host = one("host");
    int port = Integer.parseInt(one("port"));
    for (String line : all("hostKey")) {
      byte[] key = Base64.getDecoder().decode(line.split(" ")[1]);
      jsch.getHostKeyRepository().add(new HostKey("[" + host + "]:" + port, key), null);
    }
    Session session = jsch.getSession(one("user"), host, port);
    session.setConfig("StrictHostKeyChecking", "yes");
    String methods = "";
    for (String word : words) {
      String value = word.substring(word.indexOf('=') + 1);
      if (word.startsWith("password=")) {
        session.setPassword(value);
        methods += ",password";
      } else if (word.startsWith("answer=")) {
        session.setUserInfo(new Answering(value));
        methods += ",keyboard-interactive";
      } else if (word.startsWith("key=")) {
        if (one("certificate") == null) jsch.addIdentity(value);
        else jsch.addIdentity(value, one("certificate"), (byte[]) null);
        methods += ",publickey";
      }
    }
    session.setConfig("PreferredAuthentications", methods.substring(1));
    if (one("signature") != null) session.setConfig("PubkeyAcceptedAlgorithms", one("signature"));
    choose(session, "kex", "kex");
    choose(session, "hostKeyAlgorithm", "server_host_key");
    choose(session, "cipher", "cipher.c2s", "cipher.s2c");
    choose(session, "mac", "mac.c2s", "mac.s2c");
    session.connect(20_000);
    return session;
  }

  private void choose(Session session, String name, String... settings) {
    for (String setting : settings) if (one(name) != null) session.setConfig(setting, one(name));
  }

  private int runOne(Session session) throws Exception {
    Channel channel;
    if (one("subsystem") != null) {
      ChannelSubsystem subsystem = (ChannelSubsystem) session.openChannel("subsystem");
      subsystem.setSubsystem(one("subsystem"));
      subsystem.setErrStream(System.err);
      channel = subsystem;
    } else if (one("command") != null) {
      ChannelExec exec = (ChannelExec) session.openChannel("exec");
      exec.setCommand(one("command"));
      exec.setErrStream(System.err, true);
      channel = exec;
    } else {
      ChannelShell shell = (ChannelShell) session.openChannel("shell");
      shell.setPty(false);
      channel = shell;
    }
    // ChannelSession, which has these for every kind, is not public.
    if (channel instanceof ChannelExec exec && one("pty") != null) {
      exec.setPty(true);
      exec.setPtyType(one("pty"));
    }
    for (String each : all("environment")) {
      String[] pair = each.split("=", 2);
      ((ChannelExec) channel).setEnv(pair[0], pair[1]);
    }
    if (one("x11") != null) {
      int colon = one("x11").lastIndexOf(':');
      session.setX11Host(one("x11").substring(0, colon));
      session.setX11Port(6000 + Integer.parseInt(one("x11").substring(colon + 1)));
      ((ChannelExec) channel).setXForwarding(true);
    }
    carryStreams(channel);
    return channel.getExitStatus();
  }

  /** Connects the channel, and reads what it says to the end. */
  private static void carryStreams(Channel channel) throws Exception {
    InputStream output = channel.getInputStream();
    OutputStream input = channel.getOutputStream();
    channel.connect(20_000);
    Thread feeding = new Thread(() -> {
      try {
        copy(System.in, input);
        input.close();
      } catch (Exception error) {
        // A server that has closed the channel takes no more input.
      }
    });
    feeding.setDaemon(true);
    feeding.start();
    copy(output, System.out);
    waitForClose(channel);
  }

  private static void waitForClose(Channel channel) throws InterruptedException {
    while (!channel.isClosed()) Thread.sleep(1);
  }

  private static void copy(InputStream from, OutputStream to) throws Exception {
    byte[] chunk = new byte[32768];
    for (int length; (length = from.read(chunk)) >= 0; ) {
      to.write(chunk, 0, length);
      to.flush();
    }
  }

  private int carryTo(Session session) throws Exception {
    int colon = one("to").lastIndexOf(':');
    ChannelDirectTCPIP channel = (ChannelDirectTCPIP) session.openChannel("direct-tcpip");
    channel.setHost(one("to").substring(0, colon));
    channel.setPort(Integer.parseInt(one("to").substring(colon + 1)));
    carryStreams(channel);
    return 0;
  }

  private int transfer(Session session) throws Exception {
    ChannelSftp files = (ChannelSftp) session.openChannel("sftp");
    files.connect(20_000);
    for (String word : words) {
      String[] paths = word.substring(word.indexOf('=') + 1).split(":", 2);
      if (word.startsWith("put=")) files.put(paths[0], paths[1]);
      if (word.startsWith("get=")) files.get(paths[1], paths[0]);
    }
    return 0;
  }

  private int forward(Session session) throws Exception {
    for (String word : all("local")) {
      String[] place = word.split("[: ]");
      session.setPortForwardingL(place[0], Integer.parseInt(place[1]), place[2], Integer.parseInt(place[3]));
    }
    for (String word : all("remote")) {
      String[] place = word.split("[: ]");
      session.setPortForwardingR(place[0], Integer.parseInt(place[1]), place[2], Integer.parseInt(place[3]));
    }
    while (session.isConnected()) Thread.sleep(20);
    return 0;
  }

  private int parallel(Session session) throws Exception {
    List<ChannelExec> channels = new ArrayList<>();
    List<InputStream> outputs = new ArrayList<>();
    for (String command : all("command")) {
      ChannelExec channel = (ChannelExec) session.openChannel("exec");
      channel.setCommand(command);
      outputs.add(channel.getInputStream());
      channel.connect(20_000);
      channels.add(channel);
    }
    for (int at = 0; at < channels.size(); at += 1) {
      ByteArrayOutputStream output = new ByteArrayOutputStream();
      copy(outputs.get(at), output);
      waitForClose(channels.get(at));
      System.out.println(
          channels.get(at).getExitStatus() + " " + HexFormat.of().formatHex(output.toByteArray()));
    }
    return 0;
  }

  private record Answering(String answer) implements UserInfo, UIKeyboardInteractive {
    @Override
    public String[] promptKeyboardInteractive(
        String destination, String name, String instruction, String[] prompts, boolean[] echoes) {
      String[] answers = new String[prompts.length];
      Arrays.fill(answers, answer);
      return answers;
    }

    @Override
    public String getPassphrase() {
      return null;
    }

    @Override
    public String getPassword() {
      return null;
    }

    @Override
    public boolean promptPassword(String message) {
      return false;
    }

    @Override
    public boolean promptPassphrase(String message) {
      return false;
    }

    @Override
    public boolean promptYesNo(String message) {
      return false;
    }

    @Override
    public void showMessage(String message) {}
  }
}
