package aws

import (
	"cmp"
	"context"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/rota-dev/rota/provider"
)

// reportFrom is the number of users from which a credential report saves calls.
// IAM takes a few seconds to generate one.
const reportFrom = 20

// UserKey is an access key of an IAM user, and what IAM records of its use.
type UserKey struct {
	User      string
	UserARN   string
	ID        string
	Active    bool
	CreatedAt time.Time
	// UsedAt is the last use, zero for none. It lags by hours. UseKnown is false
	// if the last use couldn't be determined.
	UsedAt          time.Time
	Service, Region string // of the last use
	UseKnown        bool
}

// Inventory lists the access keys in an account.
type Inventory struct {
	Keys []UserKey
	// Users is the number of users, WithoutKeys how many of them have no access
	// key, and ConsoleOnly how many of those have a password, -1 if unknown.
	Users, WithoutKeys, ConsoleOnly int
	// RootKeys reports whether the account's root user has access keys; nil if
	// unknown.
	RootKeys *bool
	// ReportAt is when IAM generated the credential report that last uses were
	// taken from, zero if IAM was asked about every key instead.
	ReportAt time.Time
	// Problems are what couldn't be determined, with what's missing for it.
	Problems []error
}

// Inventory lists the access keys of all IAM users in the account. It changes
// nothing, though IAM might generate a credential report. Failing to read one
// user is a problem, and an error only if nothing else was found.
func (c *Connection) Inventory(ctx context.Context) (Inventory, error) {
	inv := Inventory{ConsoleOnly: -1}
	users, err := c.users(ctx)
	if err != nil {
		return inv, err
	}
	inv.Users = len(users)
	var report credentialReport
	if len(users) >= reportFrom {
		report, _ = c.credentialReport(ctx) // without it every key is asked for
	}
	if report.made.IsZero() {
		inv.RootKeys = c.rootKeys(ctx)
	} else {
		inv.ReportAt, inv.RootKeys, inv.ConsoleOnly = report.made, report.rootKeys(), 0
	}
	read := 0
	for _, user := range users {
		row, known := report.users[awssdk.ToString(user.UserName)]
		if known && !row.hasKeys() {
			inv.without(row, known)
			continue
		}
		keys, err := c.keysOf(ctx, user, row)
		switch {
		case codeOf(err) == "NoSuchEntity": // deleted meanwhile
			inv.Users--
			continue
		case ctx.Err() != nil, err != nil && read == 0:
			return inv, c.fail("list access keys", cmp.Or(ctx.Err(), err))
		case err != nil:
			inv.Problems = append(inv.Problems, c.fail("list access keys of user "+provider.Said(awssdk.ToString(user.UserName)), err))
			continue
		case len(keys) == 0:
			inv.without(row, known)
		}
		read++
		inv.Keys = append(inv.Keys, keys...)
	}
	if err := c.lastUses(ctx, inv.Keys); err != nil {
		inv.Problems = append(inv.Problems, err)
	}
	return inv, ctx.Err()
}

// without counts a user who has no access keys.
func (i *Inventory) without(row reportRow, known bool) {
	i.WithoutKeys++
	if known && row.password {
		i.ConsoleOnly++
	}
}

// users returns all IAM users in the account.
func (c *Connection) users(ctx context.Context) ([]types.User, error) {
	var users []types.User
	pages := iam.NewListUsersPaginator(c.iam, &iam.ListUsersInput{MaxItems: awssdk.Int32(1000)},
		func(o *iam.ListUsersPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.fail("list users", err)
		}
		for _, u := range page.Users {
			if awssdk.ToString(u.UserName) == "" {
				return nil, c.fail("list users", errUnreadable)
			}
			users = append(users, u)
		}
	}
	return users, nil
}

// keysOf returns a user's keys, with the last uses from the report.
func (c *Connection) keysOf(ctx context.Context, user types.User, row reportRow) ([]UserKey, error) {
	var keys []UserKey
	issued, err := c.AccessKeys(AccessKeysConfig{User: *user.UserName}).(*accessKeys).list(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range issued {
		key := UserKey{User: *user.UserName, UserARN: awssdk.ToString(user.Arn), ID: k.ID, Active: k.Active, CreatedAt: k.CreatedAt}
		if use, ok := row.useOf(k, issued); ok {
			key.UsedAt, key.Service, key.Region, key.UseKnown = use.at, use.service, use.region, true
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// lastUses looks up the last uses that aren't known yet. It stops after a denial,
// because the next call would be denied too.
func (c *Connection) lastUses(ctx context.Context, keys []UserKey) error {
	var first error
	failed := 0
	for i := range keys {
		k := &keys[i]
		if k.UseKnown {
			continue
		}
		if failed > 0 && isDenied(codeOf(first)) {
			failed++
			continue
		}
		out, err := c.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &k.ID})
		if err == nil && out.AccessKeyLastUsed == nil {
			err = errUnreadable
		}
		if err != nil {
			failed++
			first = cmp.Or(first, err)
			continue
		}
		k.UseKnown = true
		if use := out.AccessKeyLastUsed; use.LastUsedDate != nil {
			k.UsedAt, k.Service, k.Region = use.LastUsedDate.UTC(), said(use.ServiceName), said(use.Region)
		}
	}
	if failed == 0 {
		return nil
	}
	return c.fail(fmt.Sprintf("get last use of %d access keys", failed), first)
}

// rootKeys asks whether the account's root user has access keys. If that's
// denied, it's left unknown.
func (c *Connection) rootKeys(ctx context.Context) *bool {
	out, err := c.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil {
		return nil
	}
	present, ok := out.SummaryMap[string(types.SummaryKeyTypeAccountAccessKeysPresent)]
	if !ok {
		return nil
	}
	return new(present > 0)
}

// DiscoverPermissions returns what's needed to list an account's keys and to search
// its secrets' values. None of the listing actions can be restricted to a resource.
func DiscoverPermissions(at Place, searchSecrets bool) []Permission {
	needs := Permission{ID: "ListUsers", Resource: "*"}.each(
		reason{"iam:ListUsers", "lists the users"},
		reason{"iam:GenerateCredentialReport", "has IAM tell all last uses at once, where there are many users"},
		reason{"iam:GetCredentialReport", "reads them"},
		reason{"iam:GetAccountSummary", "sees whether the root has access keys"})
	needs = append(needs, Permission{ID: "ListAccessKeys", Resource: at.arn("iam", "user/*")}.each(
		reason{"iam:ListAccessKeys", "lists the users' keys"},
		reason{"iam:GetAccessKeyLastUsed", "sees when a key was used"})...)
	if searchSecrets {
		needs = append(needs, Permission{ID: "ListSecrets", Resource: "*"}.each(
			reason{"secretsmanager:ListSecrets", "lists the secrets to search"},
			reason{"secretsmanager:BatchGetSecretValue", "reads many values with one call"})...)
		needs = append(needs, Permission{ID: "ReadSecrets", Resource: at.arn("secretsmanager", "secret:*")}.each(
			reason{"secretsmanager:GetSecretValue", "reads the values to search"})...)
	}
	return needs
}
