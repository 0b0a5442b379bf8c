/* An SSH client on libssh2 that does one task; peers/driver.ts says what its arguments mean. */
#include <errno.h>
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { chunk = 32768, failed = 255 };

static int word_count;
static char **words;
static LIBSSH2_SESSION *session;
static int peer;

/* The value of the word when it has this name, else NULL. */
static char *value_of(char *word, const char *name) {
  size_t length = strlen(name);
  return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static char *one(const char *name) {
  for (int at = 0; at < word_count; at += 1) {
    char *value = value_of(words[at], name);
    if (value != NULL) return value;
  }
  return NULL;
}

static void fail(const char *what) {
  char *message = "";
  if (session != NULL) libssh2_session_last_error(session, &message, NULL, 0);
  fprintf(stderr, "%s: %s\n", what, message);
  exit(failed);
}

static void check(int result, const char *what) {
  if (result != 0) fail(what);
}

static void connect_socket(const char *host, const char *port) {
  struct addrinfo *address, hints = {.ai_socktype = SOCK_STREAM};
  check(getaddrinfo(host, port, &hints, &address), "address");
  peer = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
  check(connect(peer, address->ai_addr, address->ai_addrlen), "connect");
  freeaddrinfo(address);
}

/* Whether the key that the server has shown is one of those named. */
static void check_host_key(void) {
  size_t length;
  int type;
  const char *key = libssh2_session_hostkey(session, &length, &type);
  for (int at = 0; at < word_count && key != NULL; at += 1) {
    char *line = value_of(words[at], "hostKey");
    char *decoded;
    unsigned int decoded_length;
    if (line == NULL) continue;
    line = strchr(line, ' ') + 1;
    check(libssh2_base64_decode(session, &decoded, &decoded_length, line, strlen(line)), "host key");
    int same = decoded_length == length && memcmp(decoded, key, length) == 0;
    libssh2_free(session, decoded);
    if (same) return;
  }
  fail("this host key is not known");
}

static void answer(const char *name, int name_length, const char *text, int text_length, int count,
                   const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts, LIBSSH2_USERAUTH_KBDINT_RESPONSE *answers,
                   void **abstract) {
  (void)name, (void)name_length, (void)text, (void)text_length, (void)prompts, (void)abstract;
  for (int at = 0; at < count; at += 1) {
    answers[at].text = strdup(one("answer"));
    answers[at].length = strlen(answers[at].text);
  }
}

static void log_in(void) {
  char *user = one("user");
  for (int at = 0; at < word_count; at += 1) {
    char *password = value_of(words[at], "password");
    char *key = value_of(words[at], "key");
    int result = 0;
    if (password != NULL) result = libssh2_userauth_password(session, user, password);
    if (value_of(words[at], "answer") != NULL) {
      result = libssh2_userauth_keyboard_interactive(session, user, answer);
    }
    if (key != NULL) result = libssh2_userauth_publickey_fromfile(session, user, NULL, key, NULL);
    /* Where more is asked for, a step that succeeded looks like one that failed. */
    int is_last = at + 1 == word_count || (value_of(words[at + 1], "password") == NULL);
    if (result != 0 && is_last) fail("login");
  }
  if (!libssh2_userauth_authenticated(session)) fail("login");
}

static void choose(int method, const char *name) {
  if (one(name) != NULL) check(libssh2_session_method_pref(session, method, one(name)), name);
}

static void open_session(void) {
  check(libssh2_init(0), "libssh2_init");
  session = libssh2_session_init();
  choose(LIBSSH2_METHOD_KEX, "kex");
  choose(LIBSSH2_METHOD_HOSTKEY, "hostKeyAlgorithm");
  choose(LIBSSH2_METHOD_CRYPT_CS, "cipher");
  choose(LIBSSH2_METHOD_CRYPT_SC, "cipher");
  choose(LIBSSH2_METHOD_MAC_CS, "mac");
  choose(LIBSSH2_METHOD_MAC_SC, "mac");
  connect_socket(one("host"), one("port"));
  check(libssh2_session_handshake(session, peer), "handshake");
  check_host_key();
  log_in();
}

/* Waits until the socket, or standard input when it is wanted, has something. */
static void wait_for(int wants_input) {
  int directions = libssh2_session_block_directions(session);
  struct pollfd files[] = {
      {.fd = peer, .events = (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) ? POLLIN | POLLOUT : POLLIN},
      {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
  };
  poll(files, 2, -1);
}

static void write_all(int file, const char *bytes, ssize_t length) {
  while (length > 0) {
    ssize_t written = write(file, bytes, length);
    if (written < 0) fail("write");
    bytes += written;
    length -= written;
  }
}

static int drain(LIBSSH2_CHANNEL *channel, int stream, int file) {
  static char bytes[chunk];
  ssize_t length = libssh2_channel_read_ex(channel, stream, bytes, sizeof bytes);
  if (length > 0) write_all(file, bytes, length);
  if (length < 0 && length != LIBSSH2_ERROR_EAGAIN) fail("read");
  return length > 0;
}

/* Standard input and output are the channel's until the server has said everything. */
static void carry_streams(LIBSSH2_CHANNEL *channel) {
  static char bytes[chunk];
  ssize_t length = 0, written = 0;
  int is_open = 1, is_ended = 0;
  libssh2_session_set_blocking(session, 0);
  for (;;) {
    int moved = drain(channel, 0, STDOUT_FILENO) | drain(channel, SSH_EXTENDED_DATA_STDERR, STDERR_FILENO);
    if (!moved && libssh2_channel_eof(channel)) break;
    if (written < length) {
      ssize_t taken = libssh2_channel_write(channel, bytes + written, length - written);
      if (taken > 0) written += taken, moved = 1;
    } else if (is_open) {
      struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
      if (poll(&input, 1, 0) > 0) {
        length = read(STDIN_FILENO, bytes, sizeof bytes);
        written = 0;
        moved = 1;
        if (length <= 0) is_open = 0;
      }
    }
    if (!is_open && !is_ended && written >= length) is_ended = libssh2_channel_send_eof(channel) == 0;
    if (!moved) wait_for(is_open && written >= length);
  }
  libssh2_session_set_blocking(session, 1);
}

static int run(void) {
  LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(session);
  if (channel == NULL) fail("session");
  for (int at = 0; at < word_count; at += 1) {
    char *name = value_of(words[at], "environment");
    if (name == NULL) continue;
    char *equals = strchr(name, '=');
    *equals = '\0';
    check(libssh2_channel_setenv(channel, name, equals + 1), "environment");
  }
  if (one("pty") != NULL) check(libssh2_channel_request_pty(channel, one("pty")), "pty");
  if (one("subsystem") != NULL) check(libssh2_channel_subsystem(channel, one("subsystem")), "subsystem");
  else if (one("command") != NULL) check(libssh2_channel_exec(channel, one("command")), "command");
  else check(libssh2_channel_shell(channel), "shell");
  carry_streams(channel);
  check(libssh2_channel_close(channel), "close");
  check(libssh2_channel_wait_closed(channel), "close");
  return libssh2_channel_get_exit_status(channel);
}

static int connect_to(void) {
  char *host = one("to"), *colon = strrchr(host, ':');
  *colon = '\0';
  LIBSSH2_CHANNEL *channel = libssh2_channel_direct_tcpip(session, host, atoi(colon + 1));
  if (channel == NULL) fail("direct-tcpip");
  carry_streams(channel);
  return 0;
}

static void put(LIBSSH2_SFTP *sftp, const char *local, const char *remote) {
  static char bytes[chunk];
  FILE *file = fopen(local, "rb");
  LIBSSH2_SFTP_HANDLE *handle = libssh2_sftp_open(
      sftp, remote, LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC, 0644);
  if (file == NULL || handle == NULL) fail("put");
  for (size_t length; (length = fread(bytes, 1, sizeof bytes, file)) > 0;) {
    for (size_t at = 0; at < length;) {
      ssize_t written = libssh2_sftp_write(handle, bytes + at, length - at);
      if (written < 0) fail("put");
      at += written;
    }
  }
  fclose(file);
  check(libssh2_sftp_close(handle), "put");
}

static void get(LIBSSH2_SFTP *sftp, const char *local, const char *remote) {
  static char bytes[chunk];
  FILE *file = fopen(local, "wb");
  LIBSSH2_SFTP_HANDLE *handle = libssh2_sftp_open(sftp, remote, LIBSSH2_FXF_READ, 0);
  ssize_t length;
  if (file == NULL || handle == NULL) fail("get");
  while ((length = libssh2_sftp_read(handle, bytes, sizeof bytes)) > 0) fwrite(bytes, 1, length, file);
  if (length < 0) fail("get");
  check(fclose(file) | libssh2_sftp_close(handle), "get");
}

static int transfer(void) {
  LIBSSH2_SFTP *sftp = libssh2_sftp_init(session);
  if (sftp == NULL) fail("sftp");
  for (int at = 0; at < word_count; at += 1) {
    char *local = value_of(words[at], "put");
    int is_put = local != NULL;
    if (!is_put) local = value_of(words[at], "get");
    if (local == NULL) continue;
    char *colon = strchr(local, ':');
    *colon = '\0';
    if (is_put) put(sftp, local, colon + 1);
    else get(sftp, local, colon + 1);
  }
  return libssh2_sftp_shutdown(sftp);
}

static int print_algorithms(void) {
  puts("publicKeys=ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521");
  return 0;
}

int main(int count, char **parameters) {
  word_count = count - 1;
  words = parameters + 1;
  const char *task = one("task");
  if (strcmp(task, "algorithms") == 0) return print_algorithms();
  open_session();
  int code = failed;
  if (strcmp(task, "run") == 0) code = run();
  if (strcmp(task, "connect") == 0) code = connect_to();
  if (strcmp(task, "transfer") == 0) code = transfer();
  libssh2_session_disconnect(session, "done");
  libssh2_session_free(session);
  return code;
}
