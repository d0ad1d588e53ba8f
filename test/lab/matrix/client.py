"""Asks servers: client.py PORT ADDRESS…; prints a line for each question: address, what was asked, who answered or why not."""
import socket, sys

PORT = int(sys.argv[1])
TRIES = 4


def tcp(address, size):
    with socket.create_connection((address, PORT), timeout=15) as connection:
        connection.sendall(f"{size}\n".encode() + b"x" * size)
        return connection.makefile("rb").readline().decode()


def udp(address, size):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp_socket:
        udp_socket.connect((address, PORT))
        udp_socket.settimeout(1.5)
        trouble = None
        # The first large one may be what tells this host the path's MTU.
        for _ in range(TRIES):
            try:
                udp_socket.send(b"x" * size)
                return udp_socket.recv(4096).decode()
            except OSError as error:
                trouble = error
        raise trouble


for address in sys.argv[2:]:
    for name, ask, size in [("tcp", tcp, 10), ("tcp large", tcp, 100_000), ("udp", udp, 10), ("udp large", udp, 1_450)]:
        try:
            answer = ask(address, size).strip()
            who, count = answer.split()
            print(f"{address}|{name}|{who if int(count) == size else answer}", flush=True)
        except Exception as error:
            print(f"{address}|{name}|{type(error).__name__}: {error}", flush=True)
