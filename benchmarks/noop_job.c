/* No-op job, the cheapest process possible; noop_job.sh is the same for machines without a C compiler.
 *
 * The inputs of a ref follow from its text. shapes.py has the same rules in Python, and a test compares the two.
 * If BENCHMARK_COUNT names a file, each `exec` appends one byte to it, so that processes can be counted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int exec_job(void) {
  const char *count = getenv("BENCHMARK_COUNT");
  if (count == NULL) return 0;
  int file = open(count, O_WRONLY | O_CREAT | O_APPEND, 0644);
  return file >= 0 && write(file, ".", 1) == 1 ? 0 : 1;
}

static const char *separator;

static void input(const char *format, long first, long second, long third) {
  printf("%s{\"dep_type_code\":\"MATERIALIZE\",\"partition_ref\":{\"str\":\"", separator);
  printf(format, first, second, third);
  fputs("\"}}", stdout);
  separator = ",";
}

static void inputs_of(const char *ref) {
  long first, second, third;
  separator = "";
  if (sscanf(ref, "chain/%ld", &first) == 1) {
    if (first > 0) input("chain/%ld", first - 1, 0, 0);
  } else if (sscanf(ref, "wide/%ld", &first) == 1) {
    for (long n = 0; n < first; n++) input("leaf/%ld", n, 0, 0);
  } else if (sscanf(ref, "layer/%ld/%ld/%ld", &first, &second, &third) == 3) {
    for (long n = third - 1; second > 0 && n <= third + 1; n++)
      if (n >= 0 && n < first) input("layer/%ld/%ld/%ld", first, second - 1, n);
  } else if (sscanf(ref, "layers/%ld/%ld", &first, &second) == 2) {
    for (long n = 0; n < first; n++) input("layer/%ld/%ld/%ld", first, second - 1, n);
  }
}

static int config_job(int count, char **refs) {
  fputs("{\"configs\":[", stdout);
  for (int n = 0; n < count; n++) {
    printf("%s{\"outputs\":[{\"str\":\"%s\"}],\"args\":[\"%s\"],\"inputs\":[", n ? "," : "", refs[n], refs[n]);
    inputs_of(refs[n]);
    fputs("]}", stdout);
  }
  fputs("]}\n", stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exec") == 0) return exec_job();
  if (argc > 1 && strcmp(argv[1], "config") == 0) return config_job(argc - 2, argv + 2);
  return 2;
}
