package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
)

// selection is which secrets a command is about: every command that takes
// secrets takes them in the same way. Names and patterns say which ones, and
// owners and states narrow that down. An empty selection means all secrets,
// where a command allows it.
type selection struct {
	names          []string // or patterns, in which * matches any characters
	owners, states []string
}

// selectionHelp ends the help of every command that takes a selection.
const selectionHelp = `

A NAME may be a pattern, such as 'prod/*': quote it, so that the shell leaves it
alone. --owner and --state narrow the selection down.`

var secretStates = []string{
	string(api.StateOK), string(api.StateDue), string(api.StatePaused), string(api.StateHeld),
	string(api.StateLate), string(api.StateFailed), string(api.StateQuarantined),
}

// selects makes a command take a selection: its arguments and two flags.
// Without required, no argument and no flag means every secret.
func (a *app) selects(c *cobra.Command, s *selection, required bool) {
	c.Long += selectionHelp
	c.Flags().StringArrayVar(&s.owners, "owner", nil, "only secrets of this `owner`, as in rota.yaml; repeatable")
	c.Flags().StringSliceVar(&s.states, "state", nil, "only secrets in this `state`, as in rota status, such as failed; repeatable")
	c.ValidArgsFunction = a.completeNames
	_ = c.RegisterFlagCompletionFunc("owner", a.completeOwners)
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(secretStates, cobra.ShellCompDirectiveNoFileComp))
	c.Args = func(c *cobra.Command, args []string) error {
		s.names = nil
		for _, name := range args {
			if !slices.Contains(s.names, name) {
				s.names = append(s.names, name)
			}
		}
		if required && s.all() {
			return rota.WithRemedies(usage("%s: no secret named", c.CommandPath()), rota.Command(c.UseLine()))
		}
		return s.validate()
	}
}

// all reports whether nothing is left out.
func (s selection) all() bool { return len(s.names)+len(s.owners)+len(s.states) == 0 }

// named reports whether it consists of nothing but full names, so that nothing
// has to be looked up.
func (s selection) named() bool {
	return len(s.owners)+len(s.states) == 0 && !slices.ContainsFunc(s.names, isPattern)
}

func isPattern(name string) bool { return strings.Contains(name, "*") }

// validate refuses what can't match any secret.
func (s selection) validate() error {
	for _, state := range s.states {
		if !slices.Contains(secretStates, state) {
			return rota.WithRemedies(usage("--state %s: no such state", state), nearOr(state, secretStates, "use one of "))
		}
	}
	for _, name := range s.names {
		if strings.ContainsAny(name, "?[]{}") {
			return rota.WithRemedies(usage("%q: only * is special in a pattern", name), rota.Outside("* for any characters, including /"))
		}
	}
	return nil
}

// resolve returns the names of the selected secrets: none means all, and a
// selection that matches nothing is an error.
func (s selection) resolve(ctx context.Context, o service.Operations) ([]string, error) {
	if s.named() {
		return s.names, nil
	}
	doc, err := o.Status(ctx, api.StatusRequest{})
	if err != nil {
		return nil, err
	}
	chosen, err := s.from(doc.Secrets)
	if err != nil {
		return nil, err
	}
	return namesOf(chosen), nil
}

// resolveOne is resolve for commands that can only be about one secret.
func (s selection) resolveOne(ctx context.Context, o service.Operations) (string, error) {
	names, err := s.resolve(ctx, o)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", rota.WithRemedies(usage("%d secrets match, and only one can be chosen: %s", len(names), strings.Join(names, ", ")), rota.Outside("name one of them"))
	}
	return names[0], nil
}

// from picks the selected ones of all secrets, in their order.
func (s selection) from(all []api.StatusSecretDoc) ([]api.StatusSecretDoc, error) {
	wanted := namesOf(all)
	if len(s.names) > 0 {
		var err error
		if wanted, err = matching(s.names, wanted); err != nil {
			return nil, err
		}
	}
	for _, owner := range s.owners {
		if !slices.ContainsFunc(all, func(d api.StatusSecretDoc) bool { return d.Owner == owner }) {
			return nil, rota.WithRemedies(usage("no secret has the owner %q", owner), nearOr(owner, ownersOf(all), "use one of "))
		}
	}
	var out []api.StatusSecretDoc
	for _, d := range all {
		if slices.Contains(wanted, d.Secret) && oneOf(s.owners, d.Owner) && oneOf(s.states, string(d.State)) {
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return nil, rota.WithRemedies(usage("no secret matches %s", s), rota.Command("rota status"))
	}
	return out, nil
}

// String is the selection as it's typed.
func (s selection) String() string {
	words := slices.Clone(s.names)
	for _, owner := range s.owners {
		words = append(words, "--owner "+owner)
	}
	for _, state := range s.states {
		words = append(words, "--state "+state)
	}
	return strings.Join(words, " ")
}

// oneOf reports whether a value is one of those wanted, or any will do.
func oneOf(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// matching returns those of all names that are named or match a pattern, in
// their order. A name or pattern without a match is an error.
func matching(patterns, all []string) ([]string, error) {
	wanted := map[string]bool{}
	for _, p := range patterns {
		found := false
		for _, name := range all {
			if name == p || isPattern(p) && access.Match(p, name) {
				wanted[name], found = true, true
			}
		}
		if !found {
			return nil, unmatched(p, all)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !wanted[n] }), nil
}

// unmatched is the error for a name or pattern that no secret has, with what
// was probably meant.
func unmatched(pattern string, all []string) error {
	if !isPattern(pattern) {
		return rota.WithRemedies(usage("there is no secret %q", pattern), nearOr(pattern, all, ""))
	}
	var folders []string
	for _, name := range all {
		for i, r := range name {
			if r == '/' {
				folders = append(folders, name[:i+1]+"*")
			}
		}
	}
	slices.Sort(folders)
	return rota.WithRemedies(usage("no secret matches %q", pattern), nearOr(pattern, slices.Compact(folders), ""))
}

// nearOr suggests the nearest word, or else all of them after a preamble, or
// else a look at the status.
func nearOr(word string, all []string, preamble string) []rota.Remedy {
	if near := access.Nearest(word, all); near != "" {
		return rota.Correct(near)
	}
	if preamble != "" && len(all) > 0 {
		return rota.Outside(preamble + strings.Join(all, ", "))
	}
	return rota.Command("rota status")
}

func namesOf(list []api.StatusSecretDoc) []string {
	var names []string
	for _, d := range list {
		names = append(names, d.Secret)
	}
	return names
}

func ownersOf(list []api.StatusSecretDoc) []string {
	var owners []string
	for _, d := range list {
		if d.Owner != "" {
			owners = append(owners, d.Owner)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// question is what a person is asked beforehand.
type question struct {
	tell    func(api.SecretDoc) string // what it will do to a secret
	ask     string                     // about one secret
	askMany string                     // about several, with their number as %d
	// onlyMany: it's harmless enough for one secret that was named, but several
	// may be more than the person thinks.
	onlyMany bool
}

// confirmEach asks before something is done to the secrets.
func (a *app) confirmEach(ctx context.Context, o service.Operations, names []string, q question) error {
	if a.yes || q.onlyMany && len(names) == 1 {
		return nil
	}
	doc, err := o.Secrets(ctx, names)
	if err != nil {
		return err
	}
	told := ""
	for _, s := range doc.Secrets {
		told += q.tell(s)
	}
	ask := q.ask
	if len(doc.Secrets) > 1 {
		ask = fmt.Sprintf(q.askMany, len(doc.Secrets))
	}
	return a.confirm(ctx, told, ask)
}
