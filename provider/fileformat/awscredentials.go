package fileformat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// awsNames are the AWS SDKs' names for an access key's fields.
var awsNames = map[string]string{ //nolint:gosec // names, no values
	"access_key_id":     "aws_access_key_id",
	"secret_access_key": "aws_secret_access_key",
	"session_token":     awsSessionToken,
}

// awsSessionToken belongs to temporary keys only: a leftover one would make
// the new key fail.
const awsSessionToken = "aws_session_token"

// mergeAWS puts values into one profile of an AWS credentials file. Other
// profiles, the profile's other settings and comments stay as they are.
func mergeAWS(existing []byte, profile string, values map[string]string) ([]byte, error) {
	lower := make(map[string]string, len(values))
	for name, value := range values {
		if err := checkName(AWSCredentials, name); err != nil {
			return nil, err
		}
		if value == "" || strings.ContainsRune(`#;"'`, rune(value[0])) ||
			strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("the value of %s is empty, begins with # ; or a quote, or contains spaces or other characters that an AWS credentials file can't hold", name)
		}
		lower[strings.ToLower(name)] = value // as the SDKs compare names
	}
	values = lower
	lines := strings.SplitAfter(string(existing), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	newline := "\n"
	if strings.Contains(string(existing), "\r\n") {
		newline = "\r\n"
	}
	begin, end, err := findProfile(lines, profile)
	if err != nil || len(values) == 0 {
		return existing, err
	}
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += newline
	}
	if begin < 0 {
		if len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) != "" {
			lines = append(lines, newline)
		}
		lines = append(lines, "["+profile+"]"+newline)
		begin, end = len(lines), len(lines)
	}

	var section []string
	done := map[string]bool{}
	inOurs := false
	indent, above := -1, "" // of the setting above: how far it's indented, and its value
	for i, line := range lines[begin:end] {
		depth := len(line) - len(strings.TrimLeft(line, " \t"))
		name, rest, isSetting := setting(line)
		switch {
		case !isContent(line):
			section = append(section, line)
			continue
		case indent >= 0 && depth > indent: // it belongs to the setting above
			if isSetting && above != "" {
				return nil, refuseLine(begin+i, "indented further than the setting above it, which AWS's tools read differently")
			}
			if !inOurs {
				section = append(section, line)
			}
			continue
		case !isSetting:
			return nil, refuseLine(begin+i, "not name = value")
		case depth > 0 && rest == "":
			return nil, refuseLine(begin+i, "an indented setting without a value, which AWS's tools read differently")
		}
		indent, above = depth, rest
		value, ours := values[name]
		inOurs = ours || (name == awsSessionToken && values[awsSessionToken] == "")
		if inOurs && (!ours || done[name]) {
			continue // a second one, or a token of the previous key
		}
		if ours {
			line = line[:depth] + name + " = " + value + comment(rest) + lineEnd(line)
			done[name] = true
		}
		section = append(section, line)
	}
	margin := strings.Repeat(" ", max(indent, 0)) // any deeper, and it would belong to the last setting
	last := len(section)
	for last > 0 && strings.TrimSpace(section[last-1]) == "" {
		last-- // blank lines before the next profile stay before it
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !done[name] {
			section = slices.Insert(section, last, margin+name+" = "+values[name]+newline)
			last++
		}
	}
	return []byte(strings.Join(slices.Concat(lines[:begin], section, lines[end:]), "")), nil
}

// findProfile returns the lines of a profile, without its header; begin is -1
// if there is no such profile. It checks every line: a file that the AWS SDKs
// can't read is rejected.
func findProfile(lines []string, profile string) (begin, end int, err error) {
	refuse := func(i int, why string) (int, int, error) { return -1, -1, refuseLine(i, why) }
	begin, end = -1, -1
	inSection := false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case !isContent(line):
		case trimmed[0] == '[':
			name, tail, closed := strings.Cut(trimmed[1:], "]")
			tail = strings.TrimSpace(tail)
			if !closed || (tail != "" && tail[0] != '#' && tail[0] != ';') {
				return refuse(i, "not a [profile]")
			}
			inSection = true
			if begin >= 0 && end < 0 {
				end = i
			}
			if strings.TrimSpace(name) == profile {
				if begin >= 0 {
					return -1, -1, rota.WithRemedies(fmt.Errorf("line %d: the profile %s appears twice", i+1, profile), rota.Outside("remove one"))
				}
				begin = i + 1
			}
		case !inSection:
			return refuse(i, "a setting before the first [profile]")
		case !strings.ContainsAny(trimmed, "=:") && !indented(line):
			return refuse(i, "not name = value")
		}
	}
	if begin >= 0 && end < 0 {
		end = len(lines)
	}
	return begin, end, nil
}

func refuseLine(i int, why string) error {
	return rota.WithRemedies(fmt.Errorf("line %d: %s, and so not overwritten", i+1, why), rota.Outside("correct the file, or move it away"))
}

// isContent reports whether a line is neither blank nor a comment.
func isContent(line string) bool {
	trimmed := strings.TrimSpace(line)
	return trimmed != "" && trimmed[0] != '#' && trimmed[0] != ';'
}

func indented(line string) bool {
	return line != "" && (line[0] == ' ' || line[0] == '\t') && strings.TrimSpace(line) != ""
}

// lineEnd is how the line ends.
func lineEnd(line string) string {
	if strings.HasSuffix(line, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// setting splits "name = value" or "name: value", with the name in lower case.
func setting(line string) (name, rest string, ok bool) {
	trimmed := strings.TrimSpace(line)
	i := strings.IndexAny(trimmed, "=:")
	if i < 0 || !isContent(line) {
		return "", "", false
	}
	return strings.ToLower(strings.TrimSpace(trimmed[:i])), trimmed[i+1:], true
}

// comment is what follows a value on its line.
func comment(rest string) string {
	for i := 1; i < len(rest); i++ {
		if (rest[i] == '#' || rest[i] == ';') && (rest[i-1] == ' ' || rest[i-1] == '\t') {
			return " " + rest[i:]
		}
	}
	return ""
}
