// Command redact is a plugin that masks card numbers and e-mail addresses in the value of a record. It looks at the
// text, not at the JSON around it, and keeps the length.
package main

import sp1 "github.com/streamproc/streamproc/plugins/sdk/go"

func init() { sp1.Handle(handle) }

func main() {}

func handle(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
	v := append([]byte(nil), r.Value...)
	if cards, mails := maskCards(v), maskMails(v); !cards && !mails {
		return sp1.Keep, nil
	}
	out.Put(v)
	return sp1.Replaced, nil
}

// maskCards stars all but the last four digits of each run of 13 to 19 digits, which may have single blanks or dashes in
// it, that passes the Luhn check.
func maskCards(v []byte) bool {
	found := false
	for i := 0; i < len(v); {
		if !digit(v[i]) {
			i++
			continue
		}
		end, digits := run(v, i)
		if digits >= 13 && digits <= 19 && luhn(v[i:end]) {
			star(v[i:end], digits-4)
			found = true
		}
		i = end
	}
	return found
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// run returns the end of the run of digits that begins at i, and how many digits it has.
func run(v []byte, i int) (end, digits int) {
	for end = i; i < len(v); i++ {
		switch {
		case digit(v[i]):
			digits++
			end = i + 1
		case (v[i] == ' ' || v[i] == '-') && end == i:
		default:
			return end, digits
		}
	}
	return end, digits
}

func luhn(v []byte) bool {
	sum, double := 0, false
	for i := len(v) - 1; i >= 0; i-- {
		if !digit(v[i]) {
			continue
		}
		d := int(v[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}

func star(v []byte, n int) {
	for i := range v {
		if n > 0 && digit(v[i]) {
			v[i] = '*'
			n--
		}
	}
}

// maskMails stars what stands before the @ of an address, but for its first letter.
func maskMails(v []byte) bool {
	found := false
	for at, c := range v {
		if c != '@' || at+1 >= len(v) || !word(v[at+1]) {
			continue
		}
		from := at
		for from > 0 && word(v[from-1]) {
			from--
		}
		for i := from + 1; i < at; i++ {
			v[i] = '*'
			found = true
		}
	}
	return found
}

func word(c byte) bool {
	return digit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '+' || c == '-' || c == '*'
}
