package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) accessCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "access",
		Short: "Manage who can do what at rota serve",
		Long: `Manages the principals of rota serve and their keys. Anyone on the machine that
holds Rota's own store can do this; with --server, only administrators can.

A rule is an action and a pattern of secret names, such as read:shop/*. The
actions are list, read, write, rotate, retire, remove, audit and admin.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.bootstrapCommand(), a.accessListCommand(), a.createKeyCommand())
	for _, s := range []struct {
		action           api.AccessAction
		use, short, said string
	}{
		{api.AccessCreatePrincipal, "create NAME [RULE...]", "Create a principal, without a key yet", "created"},
		{api.AccessGrant, "grant NAME RULE...", "Add rules to a principal", "granted"},
		{api.AccessRevoke, "revoke NAME RULE...", "Remove rules from a principal", "revoked"},
		{api.AccessDisablePrincipal, "disable NAME", "Disable a principal and all of its keys", "disabled"},
		{api.AccessEnablePrincipal, "enable NAME", "Enable a principal again", "enabled"},
		{api.AccessDeletePrincipal, "delete NAME", "Delete a principal and all of its keys", "deleted"},
		{api.AccessDisableKey, "disable-key ID", "Disable a key", "disabled"},
		{api.AccessEnableKey, "enable-key ID", "Enable a key again", "enabled"},
		{api.AccessDeleteKey, "delete-key ID", "Delete a key", "deleted"},
	} {
		c.AddCommand(a.changeAccessCommand(s.action, s.use, s.short, s.said))
	}
	return c
}

// withAccess calls do with whatever manages access: the server, or this process.
func (a *app) withAccess(ctx context.Context, do func(service.Access) error) error {
	if a.serverURL() != "" {
		c, err := a.client(ctx)
		if err != nil {
			return err
		}
		return do(c)
	}
	return a.withAdministration(ctx, func(admin *access.Administration) error {
		return do(service.LocalAccess{Administration: admin, Caller: access.Local(a.actor())})
	})
}

func (a *app) withAdministration(ctx context.Context, do func(*access.Administration) error) error {
	db, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(access.NewAdministration(db.Directory(), db.Audit(), db.Now)), db.Close())
}

func (a *app) bootstrapCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bootstrap",
		Short: "Create the first administrator, and show their key",
		Long: `Creates the first administrator and shows their key, which is shown only once.
Works only while there are no principals.`,
		Args: noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdministration(c.Context(), func(admin *access.Administration) error {
				issued, err := admin.Bootstrap(c.Context())
				if err != nil {
					return err
				}
				return a.showKey(service.KeyDoc(issued))
			})
		},
	}
}

func (a *app) createKeyCommand() *cobra.Command {
	var expires string
	c := &cobra.Command{
		Use:   "create-key NAME",
		Short: "Create another key for a principal, and show it",
		Long:  "Creates another key for a principal and shows it, only this once.",
		Args:  argCount(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var end time.Time
			if expires != "" {
				d, err := rota.ParseDuration(expires)
				if err != nil {
					return usage("--expires: %w", err)
				}
				end = a.Now().Add(d)
			}
			return a.withAccess(c.Context(), func(s service.Access) error {
				issued, err := s.CreateKey(c.Context(), args[0], end)
				if err != nil {
					return err
				}
				return a.showKey(issued)
			})
		},
	}
	c.Flags().StringVar(&expires, "expires", "", "how `long` it's valid, such as 90d (default forever)")
	return c
}

// showKey prints a new key, the only time its secret is shown.
func (a *app) showKey(k api.KeyDoc) error {
	if a.json() {
		return a.document(k)
	}
	a.printf("principal  %s", k.Principal)
	a.printf("id         %s", k.Key.ID)
	a.printf("secret     %s", k.Secret)
	a.printf("token      %s", k.Token)
	if !k.Key.ExpiresAt.IsZero() {
		a.printf("expires    %s", when(k.Key.ExpiresAt, a.Now()))
	}
	a.note("The secret is shown only this once.")
	return nil
}

func (a *app) changeAccessCommand(action api.AccessAction, use, short, said string) *cobra.Command {
	least, most := 1, 1
	if strings.Contains(use, "RULE") {
		most = -1
	}
	if strings.HasSuffix(use, " RULE...") {
		least = 2
	}
	return &cobra.Command{
		Use: use, Short: short, Args: argCount(least, most),
		RunE: func(c *cobra.Command, args []string) error {
			change := api.AccessChange{Action: action, Name: args[0]}
			for _, text := range args[1:] {
				rule, err := access.ParseRule(text)
				if err != nil {
					return refused(err)
				}
				change.Rules = append(change.Rules, api.Rule{Action: string(rule.Action), Pattern: rule.Pattern})
			}
			return a.withAccess(c.Context(), func(s service.Access) error {
				if err := s.ChangeAccess(c.Context(), change); err != nil {
					return err
				}
				if a.json() {
					return a.document(change)
				}
				a.printf("%s: %s", change.Name, said)
				return nil
			})
		},
	}
}

func (a *app) accessListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all principals with their rules and keys",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAccess(c.Context(), func(s service.Access) error {
				principals, err := s.Principals(c.Context())
				if err != nil {
					return err
				}
				if a.json() {
					return a.document(api.PrincipalsDoc{Principals: append([]api.Principal{}, principals...)})
				}
				a.printPrincipals(principals)
				return nil
			})
		},
	}
}

func (a *app) printPrincipals(principals []api.Principal) {
	if len(principals) == 0 {
		a.printf("%s", hint.Add("there are no principals yet", rota.Command("rota access bootstrap")))
		return
	}
	state := func(disabled bool) cell {
		if disabled {
			return cell{"disabled", yellow}
		}
		return cell{"ok", green}
	}
	now := a.Now()
	var rows [][]cell
	for _, p := range principals {
		var rules []string
		for _, r := range p.Rules {
			rules = append(rules, r.String())
		}
		row := cells(p.Name, "", "", strings.Join(rules, " "), "", "")
		row[1] = state(p.Disabled)
		rows = append(rows, row)
		for _, k := range p.Keys {
			row := cells("", "", k.ID, "", when(k.ExpiresAt, now), when(k.UsedAt, now))
			if row[1] = state(k.Disabled); !k.Disabled && !access.Key(k).Usable(now) {
				row[1] = cell{"expired", yellow}
			}
			rows = append(rows, row)
		}
	}
	a.table([]string{"PRINCIPAL", "STATE", "KEY", "RULES", "EXPIRES", "LAST USED"}, rows)
}
