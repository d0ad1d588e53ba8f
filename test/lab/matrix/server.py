"""Answers on a port: TCP on every address, UDP on each address by itself, so that an answer comes from where it was asked.

server.py PORT SECONDS: ends by itself after so many seconds. A request over TCP is a number, a newline and as many bytes;
over UDP it is a datagram. The answer is the host's name and the number of bytes that came.
"""
import socket, subprocess, sys, threading, time

PORT, SECONDS = int(sys.argv[1]), int(sys.argv[2])
NAME = socket.gethostname()


def tcp():
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection):
    with connection, connection.makefile("rb") as stream:
        wanted = int(stream.readline() or 0)
        got = len(stream.read(wanted))
        connection.sendall(f"{NAME} {got}\n".encode())


def udp(address, family):
    with socket.socket(family, socket.SOCK_DGRAM) as udp_socket:
        udp_socket.bind((address, PORT))
        while True:
            data, peer = udp_socket.recvfrom(65536)
            udp_socket.sendto(f"{NAME} {len(data)}\n".encode(), peer)


def addresses():
    for line in subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True).stdout.splitlines():
        _, _, family, address, *_ = line.split()
        if not address.startswith("fe80"):
            yield address.split("/")[0], socket.AF_INET6 if family == "inet6" else socket.AF_INET


threading.Thread(target=tcp, daemon=True).start()
for each in set(addresses()):
    threading.Thread(target=udp, args=each, daemon=True).start()
print("ready", flush=True)
time.sleep(SECONDS)
