package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
)

// maxCredential bounds what adopt reads.
const maxCredential = 64 << 10

func (a *app) adoptCommand() *cobra.Command {
	var from, notBefore string
	var noWait bool
	var s selection
	c := &cobra.Command{
		Use:   "adopt NAME...",
		Short: "Take over an existing credential without rotating it",
		Long: `Takes over an existing credential without rotating it: from then on, Rota plans
for it as if it had issued it. Nothing is delivered or reloaded. If Rota already
manages the credential, it says so and changes nothing.

Without --from, it takes over the store's AWSCURRENT. A credential under
AWSPREVIOUS is taken over too, if the issuer lists it or it logs in. If the
store doesn't hold the credential yet, pass its fields as a JSON object in a
file or on standard input. On a terminal, --from - prompts for them without
echoing:

  {"access_key_id": "AKIA...", "secret_access_key": "..."}
  {"username": "orders_app", "password": "..."}`,
		RunE: func(c *cobra.Command, _ []string) error {
			first, err := parseDay("--not-before", notBefore)
			if err != nil {
				return err
			}
			return a.adopt(c.Context(), s, from, api.AdoptRequest{NotBefore: first, NoWait: noWait})
		},
	}
	a.selects(c, &s, true)
	c.Flags().StringVar(&from, "from", "", "the `file` with the credential's fields as JSON; - for standard input")
	c.Flags().StringVar(&notBefore, "not-before", "", "the first `day` it may be rotated, such as 2027-03-31")
	noWaitFlag(c, &noWait)
	return c
}

// parseDay is the day that a flag gives, zero if it isn't set.
func parseDay(flag, text string) (day time.Time, err error) {
	if text == "" {
		return day, nil
	}
	if day, err = time.ParseInLocation(time.DateOnly, text, time.Local); err != nil {
		return day, rota.WithRemedies(usage("%s %s: not a day", flag, text), rota.Command(flag+" 2027-03-31"))
	}
	return day, nil
}

// adopt takes over the credential of each selected secret. A credential that's
// passed belongs to one secret.
func (a *app) adopt(ctx context.Context, s selection, from string, r api.AdoptRequest) (err error) {
	if from != "" {
		// Read before the store is opened: the question may take its time.
		if r.Secret, err = a.adoptsOne(ctx, s); err != nil {
			return err
		}
		if r.Fields, err = a.readCredential(ctx, r.Secret, from); err != nil {
			return err
		}
		s = selection{names: []string{r.Secret}}
	}
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		names, err := s.resolve(ctx, o)
		if err != nil {
			return err
		}
		if err := a.confirmEach(ctx, o, names, adoptQuestion); err != nil {
			return err
		}
		all := api.WorkDoc{Secrets: []api.WorkSecretDoc{}}
		for _, name := range names {
			r.Secret = name
			doc, err := o.Adopt(ctx, r)
			if err != nil && len(names) == 1 {
				return err
			}
			if err != nil {
				failed := api.WorkSecretDoc{Secret: name, State: api.WorkFailed, Done: []api.StepDoc{}}
				failed.Error, failed.Hint, failed.Remedies = service.DescribeIn(err)
				doc.Secrets = append(doc.Secrets, failed)
			}
			all.Secrets = append(all.Secrets, doc.Secrets...)
		}
		return a.report(all)
	})
}

var adoptQuestion = question{
	tell: func(s api.SecretDoc) string {
		return s.Secret + ": Rota takes over its current credential, and rotates it by policy from then on\n"
	},
	askMany: "Adopt all %d?", onlyMany: true,
}

// adoptsOne is the one secret that a credential is passed for.
func (a *app) adoptsOne(ctx context.Context, s selection) (name string, err error) {
	if s.named() && len(s.names) == 1 {
		return s.names[0], nil
	}
	err = a.withOperations(ctx, toLook, func(o service.Operations) error {
		name, err = s.resolveOne(ctx, o)
		return err
	})
	return name, err
}

// readCredential reads the fields of a credential. Its errors never contain
// anything that was read.
func (a *app) readCredential(ctx context.Context, name, from string) (map[string]string, error) {
	if from == "-" && a.asks() {
		return a.promptCredential(ctx, name)
	}
	r := a.Stdin
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, refused(err)
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	text, err := untilInterrupted(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxCredential+1)) })
	if errors.Is(err, errInterrupted) {
		return nil, refused(err)
	}
	if err != nil {
		return nil, refused(fmt.Errorf("read the credential: %w", err))
	}
	if len(text) > maxCredential {
		return nil, usage("the credential is larger than %d KiB", maxCredential>>10)
	}
	fields, err := parseCredential(text)
	if err != nil {
		return nil, refused(err)
	}
	return fields, nil
}

// parseCredential reads a JSON object of strings.
func parseCredential(text []byte) (map[string]string, error) {
	refuse := func(format string, args ...any) (map[string]string, error) {
		return nil, rota.WithRemedies(fmt.Errorf(format, args...), rota.Outside(`{"username": "...", "password": "..."}`))
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return refuse("the credential is not valid JSON: byte %d", syntax.Offset)
		}
		return refuse("the credential is not a JSON object")
	}
	fields := map[string]string{}
	for name, value := range values {
		text, ok := value.(string)
		if !ok || text == "" || name == "" {
			return refuse("the credential's field %q is not a text, or is empty", name)
		}
		fields[name] = text
	}
	if len(fields) == 0 {
		return refuse("the credential has no fields")
	}
	return fields, nil
}

// promptCredential asks a person for the fields that the issuer's credentials
// have.
func (a *app) promptCredential(ctx context.Context, name string) (map[string]string, error) {
	var names []string
	err := a.withOperations(ctx, toAsk, func(o service.Operations) error {
		doc, err := o.Secrets(ctx, []string{name})
		if err == nil {
			names = doc.Secrets[0].Fields
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for _, field := range names {
		public := field == rota.FieldAccessKeyID || field == rota.FieldUsername
		if fields[field], err = a.prompt(ctx, field, !public); err != nil {
			return nil, refused(err)
		}
		if fields[field] == "" {
			return nil, usage("%s is empty: nothing was done", field)
		}
	}
	return fields, nil
}
