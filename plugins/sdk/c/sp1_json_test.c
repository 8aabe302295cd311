/* The reader of JSON members natively: cc sp1_json_test.c && ./a.out ../members.txt */
#include "sp1_json.h"
#include <stdio.h>
#include <stdlib.h>

static const sp1_text names[] = {SP1_TEXT("a"), SP1_TEXT("price"), SP1_TEXT("a longer name")};

static void shown(char *to, const char *text, size_t n) {
  sp1_text f[3] = {0};
  if (!sp1_json_members(f, names, 3, text, text + n)) {
    strcpy(to, "!");
    return;
  }
  for (int i = 0; i < 3; i++)
    to += sprintf(to, "%s%.*s", i ? " | " : "", f[i].p ? (int)f[i].n : 1, f[i].p ? f[i].p : "-");
}

static void put(char *s, char from, char to) {
  for (; *s; s++)
    if (*s == from) *s = to;
}

static int line_holds(char *line) {
  char *middle = strstr(line, " => "), got[512];
  size_t n = (size_t)(middle - line);
  for (size_t blanks = 0; blanks < 33; blanks++) {
    char *text = malloc(blanks + n + 1); /* no longer than it has to be, for a sanitizer */
    memset(text, ' ', blanks);
    memcpy(text + blanks, line, n);
    text[blanks + n] = 0;
    put(text, '~', '\n'), put(text, '^', '\t');
    shown(got, text, blanks + n);
    free(text);
    if (!strcmp(got, middle + 4)) continue;
    fprintf(stderr, "%s\nbehind %zu blanks gives %s\n", line, blanks, got);
    return 0;
  }
  return 1;
}

int main(int argc, char **argv) {
  char line[512];
  int lines = 0, held = 0;
  FILE *f = argc > 1 ? fopen(argv[1], "r") : 0;
  while (f && fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    if (*line == '#') continue;
    lines++;
    held += line_holds(line);
  }
  return lines < 50 || held != lines;
}
