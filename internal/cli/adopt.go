package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/config"
)

// maxCredential bounds what adopt reads.
const maxCredential = 64 << 10

func (a *app) adoptCommand() *cobra.Command {
	var from, notBefore string
	var noWait bool
	c := &cobra.Command{
		Use:   "adopt NAME",
		Short: "Take over an existing credential without rotating it",
		Long: `Takes over an existing credential without rotating it: from then on Rota plans
for it as for one that it made. Nothing is delivered and nothing reloaded.

Without --from, it is the store's AWSCURRENT that is taken over. Where the store
does not hold it yet, give its fields as a JSON object, in a file or on standard
input; on a terminal, --from - asks for them without showing them:

  {"access_key_id": "AKIA...", "secret_access_key": "..."}
  {"username": "orders_app", "password": "..."}`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := a.adoptOptions(args[0], from, notBefore)
			if err != nil {
				return err
			}
			return a.withSecrets(c.Context(), args, func(s *session, list []chosen) error {
				done := s.work(c.Context(), list, s.patiently(noWait, func(ctx context.Context, secret *rota.Secret) (rota.Result, error) {
					return s.rotator.Adopt(ctx, secret, o)
				}))
				return a.report(done, "adopt", 0)
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "the `file` with the credential's fields as JSON; - for standard input")
	c.Flags().StringVar(&notBefore, "not-before", "", "the first `day` on which it may be rotated, such as 2027-03-31")
	noWaitFlag(c, &noWait)
	return c
}

func (a *app) adoptOptions(name, from, notBefore string) (rota.AdoptOptions, error) {
	var o rota.AdoptOptions
	var err error
	if notBefore != "" {
		if o.NotBefore, err = time.ParseInLocation(time.DateOnly, notBefore, time.Local); err != nil {
			return o, usage("--not-before %s: not a day (try: 2027-03-31)", notBefore)
		}
	}
	if from != "" {
		o.Credential, err = a.readCredential(name, from)
	}
	return o, err
}

// readCredential reads the fields of a credential. No error of it holds any of
// what was read.
func (a *app) readCredential(name, from string) (rota.Credential, error) {
	if from == "-" && a.asks() {
		return a.promptCredential(name)
	}
	r := a.Stdin
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return rota.Credential{}, refused(err)
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxCredential+1))
	if err != nil {
		return rota.Credential{}, refused(fmt.Errorf("read the credential: %w", err))
	}
	if len(text) > maxCredential {
		return rota.Credential{}, usage("the credential is larger than %d KiB", maxCredential>>10)
	}
	fields, err := parseCredential(text)
	if err != nil {
		return rota.Credential{}, refused(err)
	}
	return rota.NewCredential(fields), nil
}

// parseCredential reads a JSON object of texts.
func parseCredential(text []byte) (map[string]string, error) {
	const hint = `(try: {"username": "...", "password": "..."})`
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("the credential is no JSON, from byte %d on %s", syntax.Offset, hint)
		}
		return nil, fmt.Errorf("the credential is no JSON object %s", hint)
	}
	fields := map[string]string{}
	for name, value := range values {
		text, ok := value.(string)
		if !ok || text == "" || name == "" {
			return nil, fmt.Errorf("the credential's field %q is no text, or empty %s", name, hint)
		}
		fields[name] = text
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("the credential has no fields %s", hint)
	}
	return fields, nil
}

// promptCredential asks a person for the fields that the issuer's credentials
// have.
func (a *app) promptCredential(name string) (rota.Credential, error) {
	file, err := a.loadConfig()
	if err != nil {
		return rota.Credential{}, err
	}
	if _, err := pick(file, []string{name}); err != nil {
		return rota.Credential{}, err
	}
	fields := map[string]string{}
	for _, field := range fieldsOf(file, name) {
		public := field == rota.FieldAccessKeyID || field == rota.FieldUsername
		if fields[field], err = a.prompt(field, !public); err != nil {
			return rota.Credential{}, refused(err)
		}
		if fields[field] == "" {
			return rota.Credential{}, usage("%s is empty: nothing was done", field)
		}
	}
	return rota.NewCredential(fields), nil
}

func fieldsOf(file *config.File, name string) []string {
	i := slices.IndexFunc(file.Document.Secrets, func(s *config.Secret) bool { return s.Name.Text == name })
	if file.Document.Secrets[i].Issuer.IAMAccessKey != nil {
		return []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey}
	}
	return []string{rota.FieldUsername, rota.FieldPassword}
}
