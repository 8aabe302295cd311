// csv-json: a line of CSV (RFC 4180) becomes a JSON object. The names of the columns come from the configuration,
// { columns: [a, b, c] }; a line of another number of cells fails.
#define SP1_INIT
#define SP1_ROOM(len) (6 * (len) + names_size + 64)
#include <cstdint>
static uint32_t names_size; // bytes of the names of all columns, with their quotes, colons and commas
#include "../../sdk/c/sp1.h"
#include <string>
#include <string_view>
#include <vector>

using std::string;
using std::string_view;

static std::vector<string> names; // as JSON strings, with a colon

static int refuse(int32_t at, string_view why) {
  sp1_error(at, why.data(), uint32_t(why.size()));
  return SP1_FAIL;
}

// cell reads the cell that begins at p, into text; it returns what follows, or null if a quote is not closed.
static const char *cell(const char *p, const char *end, string &text) {
  text.clear();
  if (p < end && *p == '"') {
    for (p++; p < end; p++) {
      if (*p == '"' && (p + 1 == end || p[1] != '"')) return p + 1;
      if (*p == '"') p++;
      text += *p;
    }
    return nullptr;
  }
  while (p < end && *p != ',') text += *p++;
  return p;
}

static void append(string &out, string_view text) {
  static const char hex[] = "0123456789abcdef";
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out += '\\', out += char(c);
    else if (c < 0x20) out += "\\u00", out += hex[c >> 4], out += hex[c & 15];
    else out += char(c);
  }
  out += '"';
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  if (r->val_len == SP1_NULL) return SP1_KEEP;
  const char *p = sp1_value(b, r), *end = p + r->val_len;
  while (end > p && (end[-1] == '\n' || end[-1] == '\r')) end--;
  static string out, text;
  out = "{";
  for (size_t k = 0; k < names.size(); k++) {
    if (k > 0 && (p == end || *p++ != ',')) return refuse(int32_t(i), "there are fewer cells than columns");
    if (!(p = cell(p, end, text))) return refuse(int32_t(i), "a quote is not closed");
    if (k > 0) out += ',';
    out += names[k];
    append(out, text);
  }
  if (p != end) return refuse(int32_t(i), "there are more cells than columns");
  out += '}';
  __builtin_memcpy(b->end, out.data(), out.size());
  sp1_put(b, i, uint32_t(out.size()));
  return SP1_REPLACED;
}

// plugin_init reads the names out of "columns":[…] in the start message, which the host has written as compact JSON.
static int plugin_init(const char *start, uint32_t n) {
  static constexpr string_view key = "\"columns\":[";
  string_view s(start, n);
  size_t at = s.find(key);
  for (at = at == s.npos ? at : at + key.size(); at < s.size() && s[at] == '"'; at += s[at] == ',') {
    size_t close = at + 1;
    while (close < s.size() && s[close] != '"') close += s[close] == '\\' ? 2 : 1;
    names.push_back(string(s.substr(at, close + 1 - at)) + ':');
    names_size += uint32_t(names.back().size()) + 3;
    at = close + 1;
  }
  return names.empty() ? refuse(-1, "config: { columns: [NAME, …] } is missing") : 0;
}
