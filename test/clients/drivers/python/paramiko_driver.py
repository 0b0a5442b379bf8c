"""An SSH client on paramiko that does one task."""

import os
import socket
import sys
import threading

import paramiko
from paramiko.agent import AgentRequestHandler

from request import Request, fail, place, print_algorithms


def connect(request):
    signatures = [step[1].get("signature") for step in request.login()]
    # The later of the two is taken unless it is switched off.
    disabled = {"pubkeys": ["rsa-sha2-512"]} if "rsa-sha2-256" in signatures else {}
    address = (request.one("host"), int(request.one("port")))
    transport = paramiko.Transport(socket.create_connection(address), disabled_algorithms=disabled)
    options = transport.get_security_options()
    for name, option in [
        ("kex", "kex"),
        ("hostKeyAlgorithm", "key_types"),
        ("cipher", "ciphers"),
        ("mac", "digests"),
    ]:
        if request.one(name):
            setattr(options, option, (request.one(name),))
    if request.one("rekeyBytes"):
        transport.packetizer.REKEY_BYTES = int(request.one("rekeyBytes"))
    transport.start_client(timeout=20)
    key = transport.get_remote_server_key()
    if f"{key.get_name()} {key.get_base64()}" not in request.all("hostKey"):
        raise paramiko.SSHException("this host key is not known")
    user = request.one("user")
    for name, values in request.login():
        if name == "password":
            transport.auth_password(user, values["password"], fallback=False)
        elif name == "answer":
            transport.auth_interactive(user, lambda _title, _text, asked: [values["answer"]] * len(asked))
        else:
            key = paramiko.PKey.from_path(values["key"])
            if "certificate" in values:
                key.load_certificate(values["certificate"])
            transport.auth_publickey(user, key)
    if not transport.is_authenticated():
        raise paramiko.AuthenticationException("more is asked for")
    return transport


def pump(read, write, end):
    try:
        while chunk := read(32768):
            write(chunk)
        end()
    except Exception as error:
        # What has got lost must not look like an end.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(255)


def write_out(descriptor):
    def write(chunk):
        while chunk:
            chunk = chunk[os.write(descriptor, chunk) :]

    return write


def start(*parameters):
    thread = threading.Thread(target=pump, args=parameters, daemon=True)
    thread.start()
    return thread


def nothing():
    pass


def carry_streams(channel):
    start(lambda size: os.read(0, size), channel.sendall, channel.shutdown_write)
    readers = [
        start(channel.recv, write_out(1), nothing),
        start(channel.recv_stderr, write_out(2), nothing),
    ]
    for reader in readers:
        reader.join()


def carry_socket(channel, address):
    with socket.create_connection(address) as near, channel:
        up = start(near.recv, channel.sendall, channel.shutdown_write)
        pump(channel.recv, near.sendall, lambda: near.shutdown(socket.SHUT_WR))
        up.join()


def carry_later(address):
    return lambda channel, *_: threading.Thread(
        target=carry_socket, args=(channel, address), daemon=True
    ).start()


def run(transport, request):
    channel = transport.open_session()
    for each in request.all("environment"):
        channel.set_environment_variable(*each.split("=", 1))
    if request.one("pty"):
        channel.get_pty(request.one("pty"), 80, 24)
    if request.one("agent"):
        os.environ["SSH_AUTH_SOCK"] = request.one("agent")
        AgentRequestHandler(channel)
    if request.one("x11"):
        host, number = request.one("x11").rsplit(":", 1)
        channel.request_x11(handler=carry_later((host, 6000 + int(number))))
    if request.one("subsystem"):
        channel.invoke_subsystem(request.one("subsystem"))
    elif request.one("command"):
        channel.exec_command(request.one("command"))
    else:
        channel.invoke_shell()
    carry_streams(channel)
    return channel.recv_exit_status()


def parallel(transport, commands):
    channels = [transport.open_session() for _ in commands]
    for channel, command in zip(channels, commands):
        channel.exec_command(command)
    for channel in channels:
        output = channel.makefile("rb").read()
        print(channel.recv_exit_status(), output.hex())


def transfer(transport, request):
    files = paramiko.SFTPClient.from_transport(transport)
    for name, value in request.words:
        if name == "put":
            files.put(*value.split(":", 1))
        elif name == "get":
            local, remote = value.split(":", 1)
            files.get(remote, local)
    files.close()


def forward(transport, request):
    for (host, port), to in request.forwards("remote"):
        transport.request_port_forward(host, port, carry_later(to))
    transport.join()


def main():
    request = Request(sys.argv[1:])
    task = request.one("task")
    if task == "algorithms":
        known = paramiko.Transport
        certificates = [f"{name}-cert-v01@openssh.com" for name in known._preferred_pubkeys]
        return print_algorithms(
            kex=known._preferred_kex,
            hostKeys=known._preferred_keys,
            ciphers=known._preferred_ciphers,
            macs=known._preferred_macs,
            publicKeys=[*known._preferred_pubkeys, *certificates],
        )
    transport = connect(request)
    code = 0
    if task == "run":
        code = run(transport, request)
    elif task == "connect":
        carry_streams(transport.open_channel("direct-tcpip", place(request.one("to")), ("127.0.0.1", 0)))
    elif task == "transfer":
        transfer(transport, request)
    elif task == "forward":
        forward(transport, request)
    elif task == "parallel":
        parallel(transport, request.all("command"))
    transport.close()
    sys.stdout.flush()
    # Reading standard input cannot be given up otherwise.
    os._exit(code)


try:
    main()
except Exception as error:
    fail(error)
