/* Clients that watch a build over HTTP: they read all of its events, check that none is missing, and do nothing else.
 *
 * Clients are on other machines as a rule. So these take as little of the processors as they can: one process reads all
 * streams, and looks at the beginnings of lines only.
 *
 * Arguments: the port on this machine, the id of the build, and the number of clients. It prints the number of events.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 64, BUFFER_BYTES = 1 << 20 };

struct client {
  int socket, in_body, after_id, ended;
  long events;
  size_t size;
  char *buffer;
};

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static int begins(const char *line, size_t size, const char *with) {
  return size >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* Handles a line without its end. Lines with the sizes of chunks begin with neither word. */
static void handle(struct client *client, const char *line, size_t size) {
  if (client->ended) return;
  if (client->after_id) {
    if (!begins(line, size, "data: {") || line[size - 1] != '}') fail("an event has no data");
    client->after_id = 0;
  } else if (!client->in_body) {
    if (client->events == 0 && begins(line, size, "HTTP/") && !begins(line, size, "HTTP/1.1 200")) {
      fail("the service has refused a client");
    }
    client->in_body = size == 1; /* an empty line, which ends in \r\n */
  } else if (begins(line, size, "id: ")) {
    if (atol(line + 4) != ++client->events) fail("an event is missing");
    client->after_id = 1;
  } else if (begins(line, size, "event: ")) {
    if (!begins(line, size, "event: end")) fail("the stream has failed");
    client->ended = 1;
  }
}

/* Reads what has come. */
static void receive(struct client *client) {
  ssize_t count = recv(client->socket, client->buffer + client->size, BUFFER_BYTES - client->size, 0);
  if (count < 0 && errno == EINTR) return;
  if (count <= 0) fail("a stream ends too early");
  char *line = client->buffer, *end = client->buffer + client->size + count, *stop;
  while ((stop = memchr(line, '\n', end - line))) {
    handle(client, line, stop - line);
    line = stop + 1;
  }
  client->size = end - line;
  if (client->size == BUFFER_BYTES) fail("a line is too long");
  memmove(client->buffer, line, client->size);
}

static void start(struct client *client, int port, const char *build) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  client->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client->socket, (struct sockaddr *)&address, sizeof address)) fail("the service cannot be reached");
  char request[1024];
  int size = snprintf(request, sizeof request, "GET /api/v1/builds/%s/watch HTTP/1.1\r\nHost: localhost\r\n\r\n", build);
  if (send(client->socket, request, size, 0) != size) fail("the request cannot be sent");
  if (!(client->buffer = malloc(BUFFER_BYTES))) fail("no memory");
}

int main(int count_of_arguments, char **arguments) {
  static struct client clients[MAX_CLIENTS];
  struct pollfd polled[MAX_CLIENTS];
  int count = count_of_arguments == 4 ? atoi(arguments[3]) : 0;
  if (count < 1 || count > MAX_CLIENTS) fail("usage: plain_watchers PORT BUILD COUNT");
  for (int i = 0; i < count; i++) {
    start(&clients[i], atoi(arguments[1]), arguments[2]);
    polled[i] = (struct pollfd){.fd = clients[i].socket, .events = POLLIN};
  }
  for (int open = count; open;) {
    if (poll(polled, count, -1) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < count; i++) {
      if (!polled[i].revents) continue;
      receive(&clients[i]);
      if (clients[i].ended) {
        close(clients[i].socket);
        polled[i] = (struct pollfd){.fd = -1};
        open--;
      }
    }
  }
  for (int i = 1; i < count; i++) {
    if (clients[i].events != clients[0].events) fail("the clients have different numbers of events");
  }
  printf("%ld\n", clients[0].events);
  return 0;
}
