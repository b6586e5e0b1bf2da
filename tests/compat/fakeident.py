"""A stand-in for an ident server (RFC 1413); only used in a private network namespace."""
import socket
import threading

PORT = 113


class Host:
    """Calls `answer(connection, ports)` for each query; whatever is not closed there is held."""

    def __init__(self, answer, address="127.0.0.1"):
        self.answer, self.queries, self.held = answer, [], []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, PORT))
        self.listener.listen(200)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, client = self.listener.accept()
            except OSError:
                return
            query = connection.recv(200)
            self.queries.append((query, client[0]))
            self.answer(connection, query.decode().strip())
            self.held.append(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(2)
        for connection in self.held:
            connection.close()


def says(text):
    """Answers with this text, its PORTS replaced by those of the query, and closes."""
    def answer(connection, ports):
        connection.sendall(text.replace("PORTS", ports).encode())
        connection.close()
    return answer
