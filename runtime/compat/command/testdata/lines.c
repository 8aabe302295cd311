/* Answers line by line, by the first letter: drop, two lines, trap, exit, quit, or the line in upper case. With an argument
   it first reads everything, and then writes the number of lines before each. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void each(char *line) {
  switch (line[0]) {
  case 'd': puts(""); break;
  case '2': puts("first"), puts("second"); break;
  case 't': fputs("about to trap\n", stderr); __builtin_trap();
  case 'e': fputs("told to leave\n", stderr); exit(3);
  case 'q': exit(0);
  case 'v': printf("%s", getenv("GREETING") ? getenv("GREETING") : "none"); puts(""); break;
  default:
    for (char *p = line; *p; p++) *p = (char)toupper((unsigned char)*p);
    puts(line);
  }
}

int main(int argc, char **argv) {
  static char line[1 << 16], all[256][256];
  int n = 0;
  if (argc > 1 && !strcmp(argv[1], "early")) return 0;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (argc > 1 && n < 256) strncpy(all[n], line, 255);
    n++;
    if (argc == 1) each(line);
  }
  for (int i = 0; argc > 1 && i < n; i++) printf("%d %s\n", n, all[i]);
  return 0;
}
