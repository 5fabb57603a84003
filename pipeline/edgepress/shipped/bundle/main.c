/* Run the model on inputs as the file takes them, such as selftest/0/input_00.bin, in the order of model.json.

     run MODEL INPUT… OUTPUT…                       writes the outputs, one file each
     run --check TOLERANCE MODEL INPUT… EXPECTED…   compares them: exit 1 where one is off by more than TOLERANCE times
                                                    the largest expected number, or integers by one more step
*/
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#ifndef THREADS
#define THREADS 1
#endif

void fail(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  exit(2);
}

static void read_file(const char *path, void *data, size_t bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be opened");
  if (fread(data, 1, bytes, file) != bytes || fgetc(file) != EOF) fail(path, "has another size than the tensor");
  fclose(file);
}

static void write_file(const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file)) fail(path, "cannot be written");
}

static double number(const void *data, Type type, size_t index) {
  switch (type) {
    case FLOAT32: return ((const float *)data)[index];
    case INT8: return ((const int8_t *)data)[index];
    case INT32: return ((const int32_t *)data)[index];
    case INT64: return (double)((const int64_t *)data)[index];
    default: return ((const uint8_t *)data)[index];
  }
}

static int is_off(const char *path, const Tensor *found, double tolerance) {
  static const size_t sizes[] = {4, 1, 1, 4, 8, 1};
  void *expected = malloc(found->bytes + 1);
  double most = 0, off = 0;
  int wrong = 0;
  if (!expected) fail(path, "no memory");
  read_file(path, expected, found->bytes);
  for (size_t i = 0; i < found->bytes / sizes[found->type]; i++) {
    double a = number(found->data, found->type, i), b = number(expected, found->type, i);
    if (isfinite(a) && isfinite(b)) {
      most = fmax(most, fabs(b));
      off = fmax(off, fabs(a - b));
    } else if (isfinite(a) || isfinite(b)) {
      wrong = 1;
    }
  }
  free(expected);
  most = most * tolerance + (found->type != FLOAT32);
  wrong = wrong || off > most;
  printf("%s: off by %g, and may be by %g: %s\n", path, off, most, wrong ? "WRONG" : "ok");
  return wrong;
}

int main(int argc, char **argv) {
  int check = argc > 3 && !strcmp(argv[1], "--check"), wrong = 0;
  double tolerance = check ? atof(argv[2]) : 0;
  char **names = argv + (check ? 3 : 1);
  size_t count = argc < 2 ? 0 : (size_t)(argc - (check ? 3 : 1)), inputs, outputs;
  if (!count) fail("usage", "run [--check TOLERANCE] MODEL INPUT… OUTPUT…");
  model_load(names[0], THREADS, &inputs, &outputs);
  if (count != 1 + inputs + outputs) {
    char needed[100];
    snprintf(needed, sizeof needed, "name %zu inputs and %zu outputs behind the model", inputs, outputs);
    fail("usage", needed);
  }
  for (size_t i = 0; i < inputs; i++) {
    Tensor *input = model_input(i);
    read_file(names[1 + i], input->data, input->bytes);
  }
  model_run();
  for (size_t i = 0; i < outputs; i++) {
    const Tensor *output = model_output(i);
    const char *path = names[1 + inputs + i];
    if (check) wrong |= is_off(path, output, tolerance);
    else write_file(path, output->data, output->bytes);
  }
  return wrong;
}
