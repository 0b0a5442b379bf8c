"""An SSH client on AsyncSSH that does one task."""

import asyncio
import os
import sys

import asyncssh
from asyncssh import encryption, kex, mac, public_key

from request import Request, fail, place, print_algorithms


class Answering(asyncssh.SSHClient):
    def __init__(self, answer):
        self.answer = answer

    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return [self.answer] * len(prompts)


def connect(request):
    steps = request.login()
    keys = [
        (values["key"], values["certificate"]) if "certificate" in values else values["key"]
        for name, values in steps
        if name == "key"
    ]
    words = {name: values for name, values in steps}
    methods = {"password": "password", "answer": "keyboard-interactive", "key": "publickey"}
    options = {
        "kex_algs": request.all("kex"),
        "server_host_key_algs": request.all("hostKeyAlgorithm"),
        "encryption_algs": request.all("cipher"),
        "mac_algs": request.all("mac"),
        "signature_algs": [values["signature"] for _, values in steps if "signature" in values],
        "rekey_bytes": int(request.one("rekeyBytes") or 0),
        "x11_display": request.one("x11"),
    }
    answer = words.get("answer", {}).get("answer")
    return asyncssh.connect(
        request.one("host"),
        int(request.one("port")),
        username=request.one("user"),
        config=None,
        known_hosts=([asyncssh.import_public_key(line) for line in request.all("hostKey")], [], []),
        client_keys=keys or None,
        password=words.get("password", {}).get("password"),
        client_factory=(lambda: Answering(answer)) if answer else None,
        preferred_auth=[methods[name] for name, _ in steps],
        agent_path=request.one("agent"),
        agent_identities=None,
        agent_forwarding=request.one("agent") is not None,
        x11_forwarding=request.one("x11") is not None,
        **{name: value for name, value in options.items() if value},
    )


async def pump(read, write, end):
    while chunk := await read(32768):
        await write(chunk)
    await end()


def read_in(size):
    return asyncio.get_running_loop().run_in_executor(None, os.read, 0, size)


def write_out(descriptor):
    async def write(chunk):
        while chunk:
            chunk = chunk[os.write(descriptor, chunk) :]

    return write


def into(writer):
    async def write(chunk):
        writer.write(chunk)
        await writer.drain()

    async def end():
        writer.write_eof()

    return write, end


async def nothing():
    pass


async def carry_streams(writer, *readers):
    feeding = asyncio.ensure_future(pump(read_in, *into(writer)))
    # A server that has closed the channel takes no more input.
    feeding.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.gather(
        *(pump(reader.read, write_out(index + 1), nothing) for index, reader in enumerate(readers))
    )


async def run(connection, request):
    process = await connection.create_process(
        request.one("command"),
        subsystem=request.one("subsystem"),
        term_type=request.one("pty"),
        request_pty=request.one("pty") is not None,
        term_size=(80, 24),
        env=dict(each.split("=", 1) for each in request.all("environment")),
        encoding=None,
    )
    await carry_streams(process.stdin, process.stdout, process.stderr)
    return (await process.wait()).exit_status


async def open_place(connection, to):
    if isinstance(to, str):
        return await connection.open_unix_connection(to)
    return await connection.open_connection(*to)


async def parallel(connection, commands):
    results = await asyncio.gather(*(connection.run(command, encoding=None) for command in commands))
    for result in results:
        print(result.exit_status, result.stdout.hex())


async def transfer(connection, request):
    async with connection.start_sftp_client() as files:
        for name, value in request.words:
            if name in ("put", "get"):
                local, remote = value.split(":", 1)
                await (files.put(local, remote) if name == "put" else files.get(remote, local))


async def forward(connection, request):
    for (from_place, to) in request.forwards("local"):
        if isinstance(to, str):
            await connection.forward_local_path(from_place, to)
        else:
            await connection.forward_local_port(*from_place, *to)
    for (from_place, to) in request.forwards("remote"):
        if isinstance(from_place, str):
            await connection.forward_remote_path_to_port(from_place, *to)
        else:
            await connection.forward_remote_port(*from_place, *to)
    for (from_place,) in request.forwards("dynamic"):
        await connection.forward_socks(*from_place)
    await connection.wait_closed()


def names(*lists):
    return [name.decode() for each in lists for name in each]


async def main():
    request = Request(sys.argv[1:])
    task = request.one("task")
    if task == "algorithms":
        keys = names(public_key.get_public_key_algs())
        return print_algorithms(
            kex=names(kex.get_kex_algs()),
            hostKeys=keys,
            ciphers=names(encryption.get_encryption_algs()),
            macs=names(mac.get_mac_algs()),
            publicKeys=[*keys, *names(public_key.get_certificate_algs())],
        )
    code = 0
    async with connect(request) as connection:
        if task == "run":
            code = await run(connection, request)
        elif task == "connect":
            reader, writer = await open_place(connection, place(request.one("to")))
            await carry_streams(writer, reader)
        elif task == "transfer":
            await transfer(connection, request)
        elif task == "forward":
            await forward(connection, request)
        elif task == "parallel":
            await parallel(connection, request.all("command"))
    sys.stdout.flush()
    # Reading standard input cannot be given up otherwise.
    os._exit(code)


try:
    asyncio.run(main())
except Exception as error:
    fail(error)
