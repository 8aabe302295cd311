package expr

import "regexp"

// plainer says for messages of CEL what they mean to people who write expressions.
var plainer = []struct {
	said  *regexp.Regexp
	meant string
}{
	{regexp.MustCompile(`^Syntax error: \w+ input '<EOF>' expecting .*`), "it ends too early"},
	{regexp.MustCompile(`^Syntax error: \w+ input ('.*') expecting .*`), "$1 cannot stand here"},
	{regexp.MustCompile(`^Syntax error: no viable alternative at input '(.*)'$`), "it cannot be read: $1"},
	{regexp.MustCompile(`^Syntax error: token recognition error at: '=.*'$`), "a single = means nothing: write =="},
	{regexp.MustCompile(`^Syntax error: token recognition error at: '["'].*'$`), "a quote is open"},
	{regexp.MustCompile(`^Syntax error: token recognition error at: ('.*')$`), "$1 cannot be read"},
	{regexp.MustCompile(`^undeclared reference to '([^']+)'.*`), "there is no $1: a record is value, key, headers, topic, partition, offset and timestamp"},
	{regexp.MustCompile(`^found no matching overload for '_(.+)_' applied to '\((.+), (.+)\)'$`), "$1 does not go with $2 and $3"},
	{regexp.MustCompile(`^found no matching overload for '@?(\w+)' applied to '(.*)'$`), "$1 does not take $2"},
}

func plainly(message string) string {
	for _, p := range plainer {
		if p.said.MatchString(message) {
			return p.said.ReplaceAllString(message, p.meant)
		}
	}
	return message
}
