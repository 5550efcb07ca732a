package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/rota-dev/rota"
)

// actions are the ones that a rule can have.
var actions = []string{
	string(List), string(Read), string(Write), string(Rotate),
	string(Retire), string(Remove), string(Audit), string(Admin),
}

// actionAliases are what people call the actions elsewhere.
var actionAliases = map[string]Action{
	"get": Read, "view": Read, "see": List, "describe": List,
	"put": Write, "create": Write, "update": Write, "set": Write,
	"delete": Remove, "restore": Remove, "destroy": Remove,
	"rollback": Rotate, "adopt": Rotate, "deactivate": Retire, "revoke": Retire,
	"all": Admin, "*": Admin, "sudo": Admin, "root": Admin, "owner": Admin, "log": Audit, "logs": Audit,
}

// Validate rejects a rule that can't be intended.
func (r Rule) Validate() error {
	if !slices.Contains(actions, string(r.Action)) {
		return rota.WithRemedies(fmt.Errorf("%q is not an action", r.Action), suggestAction(string(r.Action)))
	}
	if err := checkPattern(r.Pattern); err != nil {
		return fmt.Errorf("rule %s: %w", r, err)
	}
	return nil
}

// String is the rule in the form that [ParseRule] reads.
func (r Rule) String() string { return string(r.Action) + ":" + r.Pattern }

// ParseRule parses a rule as people write it: the action, ":" and the pattern,
// such as "read:shop/*". The caller validates it, because the pattern of a
// binding is a [Template], and that of other rules isn't.
func ParseRule(s string) (Rule, error) {
	action, pattern, found := strings.Cut(s, ":")
	if !found {
		return Rule{}, rota.WithRemedies(fmt.Errorf("%q is not a rule", s), rota.Outside("an action, a colon and a pattern for names, such as read:shop/*"))
	}
	return Rule{Action: Action(action), Pattern: pattern}, nil
}

// ValidateRules rejects the first invalid rule, or an empty list.
func ValidateRules(rules []Rule) error {
	if len(rules) == 0 {
		return rota.WithRemedies(errors.New("no rule given, and nothing is allowed without one"), rota.Outside("read:shop/*"))
	}
	for _, r := range rules {
		if err := r.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return rota.WithRemedies(errors.New("its pattern is empty"), rota.Outside("* for all"))
	case len(pattern) > 512:
		return errors.New("its pattern is longer than 512 characters")
	case strings.ContainsFunc(pattern, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return rota.WithRemedies(errors.New("its pattern contains whitespace or an unprintable character"), rota.Outside("leave it out"))
	case strings.Contains(pattern, "**"):
		return rota.WithRemedies(errors.New("a single * matches any characters, including /"), rota.Correct(strings.ReplaceAll(pattern, "**", "*")))
	case strings.HasPrefix(pattern, "/"):
		return rota.WithRemedies(errors.New("names don't begin with /"), rota.Correct(strings.TrimLeft(pattern, "/")))
	case strings.ContainsAny(pattern, "?[]^$|(),;"):
		return rota.WithRemedies(errors.New("only * is special in a pattern, and names can't contain ? [ ] { } ^ $ | ( ) , ;"), rota.Outside("one rule for each pattern"))
	}
	return nil
}

func suggestAction(word string) []rota.Remedy {
	word = strings.ToLower(strings.TrimSpace(word))
	if a, ok := actionAliases[word]; ok {
		return rota.Correct(string(a))
	}
	if near := Nearest(word, actions); near != "" {
		return rota.Correct(near)
	}
	return rota.Outside(strings.Join(actions, ", "))
}

// notFound is [rota.ErrNotFound] with the closest known name.
func notFound(what, name string, known []string) error {
	if near := Nearest(name, known); near != "" {
		return rota.WithRemedies(fmt.Errorf("%s %q: %w", what, name, rota.ErrNotFound), rota.Correct(near))
	}
	return rota.WithRemedies(fmt.Errorf("%s %q: %w", what, name, rota.ErrNotFound), rota.Command("rota access list"))
}

// Nearest returns the known word that a mistyped one was probably meant to be,
// "" if none is close. A name can be meant without its folder.
func Nearest(word string, known []string) string {
	for _, k := range known {
		if strings.HasSuffix(k, "/"+word) {
			return k
		}
	}
	best, nearest := len(word)/3+2, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// distance is the Levenshtein distance: how many insertions, deletions and
// substitutions turn a into b. Long words are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
