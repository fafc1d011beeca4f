/* A receiver of exporters that answers and does nothing else: HTTP/1.1 and, on the same port, gRPC.
 *
 * A receiver is on another machine as a rule. So this one takes as little of the processors as it can: each connection
 * has a thread that reads, counts and answers. It acknowledges each message of a stream of the Build Event Service, and
 * answers all other calls with an empty message. HTTP/2 is only as complete as gRPC without TLS needs.
 *
 * It takes batches of run events of OpenLineage, except below /single, where it does not have their endpoint.
 *
 * It prints its port. For each line of its input, it prints the number of requests, of messages, and of run events in
 * batches since the last one, and it ends with its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { STREAMS = 64, INITIAL_WINDOW = 65535, MAX_FRAME = 16384, SETTING_INITIAL_WINDOW = 4 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char NO_CONTENT[] = "HTTP/1.1 204 No Content\r\n\r\n";
static const char NOT_FOUND[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
/* Paths of batches, and a member that each run event has once. */
static const char BATCH[] = "/lineage/batch ", NO_BATCH[] = "POST /single/lineage/batch ";
static const char RUN_EVENT[] = "\"eventType\":";
/* `:status: 200` and `content-type: application/grpc`; `grpc-status: 0`: https://www.rfc-editor.org/rfc/rfc7541 */
static const char HEAD[] = "\x88\x0f\x10\x10" "application/grpc";
static const char TRAILERS[] = "\x00\x0b" "grpc-status" "\x01" "0";

static long received;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Bytes that grow at the end and are taken from the beginning. */
struct bytes {
  uint8_t *data;
  size_t size, capacity;
};

static void append(struct bytes *to, const void *data, size_t size) {
  if (to->size + size > to->capacity) {
    to->capacity = 2 * (to->size + size);
    if (!(to->data = realloc(to->data, to->capacity))) fail("realloc");
  }
  memcpy(to->data + to->size, data, size);
  to->size += size;
}

static void take(struct bytes *from, size_t size) {
  from->size -= size;
  memmove(from->data, from->data + size, from->size);
}

struct stream {
  uint32_t id;
  int streaming, begun, ended;
  long window;
  struct bytes message, answer;
};

struct connection {
  int file;
  long window, initial_window;
  struct bytes input, output;
  struct stream streams[STREAMS];
};

static int receive(struct connection *c) {
  uint8_t buffer[65536];
  ssize_t count = read(c->file, buffer, sizeof buffer);
  if (count > 0) append(&c->input, buffer, count);
  return count > 0;
}

static int flush(struct connection *c) {
  for (size_t done = 0; done < c->output.size;) {
    ssize_t count = write(c->file, c->output.data + done, c->output.size - done);
    if (count <= 0) return 0;
    done += count;
  }
  c->output.size = 0;
  return 1;
}

/* HTTP/1.1. The names of headers may be in any case. */
static size_t content_length(const char *head, const char *end) {
  for (const char *line = head; line < end; line = strstr(line, "\r\n") + 2)
    if (!strncasecmp(line, "content-length:", 15)) return strtoul(line + 15, NULL, 10);
  return 0;
}

static long count(const uint8_t *data, size_t size, const char *text) {
  long found = 0;
  size_t length = strlen(text);
  for (const uint8_t *end = data + size, *at = data; (at = memmem(at, end - at, text, length)); at += length) found++;
  return found;
}

/* Answers the request that the input begins with. */
static void answer_http(struct connection *c, size_t size) {
  const uint8_t *line_end = memmem(c->input.data, size, "\r\n", 2);
  size_t line = line_end - c->input.data;
  if (!memcmp(c->input.data, NO_BATCH, sizeof NO_BATCH - 1)) {
    append(&c->output, NOT_FOUND, sizeof NOT_FOUND - 1);
  } else if (memmem(c->input.data, line, BATCH, sizeof BATCH - 1)) {
    __atomic_add_fetch(&received, count(c->input.data, size, RUN_EVENT), __ATOMIC_RELAXED);
    append(&c->output, NO_CONTENT, sizeof NO_CONTENT - 1);
  } else {
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
    append(&c->output, ANSWER, sizeof ANSWER - 1);
  }
}

static void serve_http(struct connection *c) {
  do {
    for (;;) {
      uint8_t *end = c->input.size ? memmem(c->input.data, c->input.size, "\r\n\r\n", 4) : NULL;
      if (!end) break;
      size_t size = end + 4 - c->input.data + content_length((char *)c->input.data, (char *)end);
      if (c->input.size < size) break;
      answer_http(c, size);
      take(&c->input, size);
    }
    if (!flush(c)) return;
  } while (receive(c));
}

static uint32_t number(const uint8_t *data) {
  return (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
}

static void frame(struct connection *c, int type, int flags, uint32_t stream, const void *payload, size_t size) {
  uint8_t head[9] = {size >> 16, size >> 8, size, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
  append(&c->output, head, sizeof head);
  append(&c->output, payload, size);
}

/* Returns the stream with an id, 0 for one that is free; NULL if there is none. */
static struct stream *find(struct connection *c, uint32_t id) {
  for (struct stream *s = c->streams; s < c->streams + STREAMS; s++)
    if (s->id == id) return s;
  return NULL;
}

static struct stream *stream_of(struct connection *c, uint32_t id) {
  struct stream *known = find(c, id), *free = find(c, 0);
  if (known) return known;
  if (!free) fail("too many streams");
  free->id = id;
  free->streaming = free->begun = free->ended = 0;
  free->window = c->initial_window;
  free->message.size = free->answer.size = 0;
  return free;
}

static uint64_t varint(const uint8_t **at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    value |= (uint64_t)(**at & 127) << shift;
    if (!(*(*at)++ & 128)) return value;
  }
}

static void answer(struct stream *s, const uint8_t *message, size_t size) {
  uint8_t head[5] = {0, size >> 24, size >> 16, size >> 8, size};
  append(&s->answer, head, sizeof head);
  append(&s->answer, message, size);
}

/* Answers a PublishBuildToolEventStreamRequest. Field 4 has the fields that the answer repeats: 1, the stream, and 2,
 * the number, both before all others. */
static void acknowledge(struct stream *s, const uint8_t *message) {
  const uint8_t *at = message + 1;
  varint(&at);
  const uint8_t *begin = at++;
  size_t size = varint(&at);
  at += size + 1;
  varint(&at);
  answer(s, begin, at - begin);
}

static void on_data(struct stream *s, const uint8_t *data, size_t size) {
  append(&s->message, data, size);
  while (s->message.size >= 5 && s->message.size - 5 >= number(s->message.data + 1)) {
    size_t length = number(s->message.data + 1);
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
    /* The requests of no other call begin with field 4. */
    if (length && s->message.data[5] == 0x22) {
      s->streaming = 1;
      acknowledge(s, s->message.data + 5);
    }
    take(&s->message, 5 + length);
  }
}

/* Sends as much of the answers of a stream as the client can take. */
static void advance(struct connection *c, struct stream *s) {
  if (s->ended && !s->streaming && !s->begun) answer(s, NULL, 0);
  if (s->answer.size && !s->begun) {
    frame(c, HEADERS, END_HEADERS, s->id, HEAD, sizeof HEAD - 1);
    s->begun = 1;
  }
  for (;;) {
    long size = s->answer.size;
    if (size > s->window) size = s->window;
    if (size > c->window) size = c->window;
    if (size > MAX_FRAME) size = MAX_FRAME;
    if (size <= 0) break;
    frame(c, DATA, 0, s->id, s->answer.data, size);
    take(&s->answer, size);
    s->window -= size;
    c->window -= size;
  }
  if (s->ended && s->begun && !s->answer.size) {
    frame(c, HEADERS, END_HEADERS | END_STREAM, s->id, TRAILERS, sizeof TRAILERS - 1);
    s->id = 0;
  }
}

static void on_settings(struct connection *c, const uint8_t *data, size_t size) {
  for (; size >= 6; data += 6, size -= 6) {
    if ((data[0] << 8 | data[1]) != SETTING_INITIAL_WINDOW) continue;
    long window = number(data + 2);
    for (struct stream *s = c->streams; s < c->streams + STREAMS; s++) s->window += window - c->initial_window;
    c->initial_window = window;
  }
  frame(c, SETTINGS, ACK, 0, NULL, 0);
}

static void on_frame(struct connection *c, int type, int flags, uint32_t id, const uint8_t *data, size_t size) {
  if (type == SETTINGS && !(flags & ACK)) on_settings(c, data, size);
  if (type == PING && !(flags & ACK)) frame(c, PING, ACK, 0, data, size);
  struct stream *known = id ? find(c, id) : NULL;
  if (type == WINDOW_UPDATE && known) known->window += number(data);
  if (type == WINDOW_UPDATE && !id) c->window += number(data);
  if (type == RST_STREAM && known) known->id = 0;
  if (type == DATA && size) {
    size_t padding = flags & PADDED ? data[0] + 1 : 0;
    on_data(stream_of(c, id), data + (padding ? 1 : 0), size - padding);
  }
  if ((type == DATA || type == HEADERS) && flags & END_STREAM) stream_of(c, id)->ended = 1;
}

static void serve_grpc(struct connection *c) {
  /* So large windows that they need no updates. */
  const uint8_t settings[] = {0, SETTING_INITIAL_WINDOW, 0x7f, 0xff, 0xff, 0xff};
  const uint8_t window[] = {0x7f, 0xff, 0, 0};
  frame(c, SETTINGS, 0, 0, settings, sizeof settings);
  frame(c, WINDOW_UPDATE, 0, 0, window, sizeof window);
  take(&c->input, sizeof PREFACE - 1);
  do {
    size_t done = 0;
    while (c->input.size - done >= 9) {
      uint8_t *head = c->input.data + done;
      size_t size = number(head) >> 8;
      if (c->input.size - done < 9 + size) break;
      on_frame(c, head[3], head[4], number(head + 5) & 0x7fffffff, head + 9, size);
      done += 9 + size;
    }
    take(&c->input, done);
    for (struct stream *s = c->streams; s < c->streams + STREAMS; s++)
      if (s->id) advance(c, s);
    if (!flush(c)) return;
  } while (receive(c));
}

static void *serve(void *connection) {
  struct connection *c = connection;
  while (c->input.size < sizeof PREFACE - 1 && receive(c))
    ;
  if (c->input.size >= sizeof PREFACE - 1) {
    if (memcmp(c->input.data, PREFACE, sizeof PREFACE - 1)) serve_http(c);
    else serve_grpc(c);
  }
  close(c->file);
  return NULL;
}

static void *accept_all(void *listener) {
  for (;;) {
    int one = 1;
    struct connection *c = calloc(1, sizeof *c);
    if (!c || (c->file = accept(*(int *)listener, NULL, NULL)) < 0) fail("accept");
    c->window = c->initial_window = INITIAL_WINDOW;
    setsockopt(c->file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, c)) fail("pthread_create");
    pthread_detach(thread);
  }
  return NULL;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16)) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &size)) fail("getsockname");
  pthread_t thread;
  if (pthread_create(&thread, NULL, accept_all, &listener)) fail("pthread_create");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (int c; (c = getchar()) != EOF;) {
    if (c != '\n') continue;
    printf("%ld\n", __atomic_exchange_n(&received, 0, __ATOMIC_RELAXED));
    fflush(stdout);
  }
  return 0;
}
