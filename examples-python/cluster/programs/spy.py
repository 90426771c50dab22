# Looks for what is not its own: files of people, a network, other processes.
import os
import socket

assert not os.path.exists("/home") or not os.listdir("/home")
assert os.listdir("/tmp") == []
assert sum(name.isdigit() for name in os.listdir("/proc")) <= 2
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error:
    print("alone:", error.strerror)
