package aws

import (
	"context"
	"slices"
	"strings"

	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/provider"
)

// Permission is an action that Rota or someone else must be allowed on a resource,
// and why. Each issuer, store and so on in this package declares its own, next to
// its code. `rota policy aws` prints them, and `rota check` runs them through
// IAM's policy simulator.
type Permission struct {
	// ID names the statement that the permission goes into: letters only.
	ID string
	// Action is the action's name, such as "iam:CreateAccessKey".
	Action string
	// Resource is an ARN, in which ? matches one character, or "*" for actions
	// that can't be restricted to a resource.
	Resource string
	// Condition is a policy's condition block; nil for none.
	Condition map[string]map[string][]string
	// Why explains the permission to people in one line.
	Why string
	// For is when it is needed. The zero value is every rotation.
	For provider.Occasion
	// Holder is who needs it, if not Rota: the ARN of an intermediate role, or a
	// description. Empty means Rota.
	Holder string
}

const (
	// ToCreate is the first rotation of a secret that does not exist yet.
	ToCreate = provider.OccasionCreate
	// ToCheck is rota check alone.
	ToCheck = provider.OccasionCheck
)

// reason is an action and why it's needed, phrased to follow "Rota".
type reason struct{ action, why string }

// each returns a permission for each of the actions, all on the same resource.
func (p Permission) each(reasons ...reason) []Permission {
	all := make([]Permission, len(reasons))
	for i, r := range reasons {
		all[i] = p
		all[i].Action, all[i].Why = r.action, r.why
	}
	return all
}

// PermissionHolder is an issuer, store, check, target or notifier that needs
// permissions at AWS and can say which.
type PermissionHolder interface {
	// Connection returns the connection whose identity needs them.
	Connection() *Connection
	// Permissions returns what it needs at a place. If [Place].Ask is set, it
	// looks up what rota.yaml doesn't say, such as a user's path.
	Permissions(ctx context.Context, at Place) []Permission
}

var (
	_ PermissionHolder = (*accessKeys)(nil)
	_ PermissionHolder = (*secretStore)(nil)
	_ PermissionHolder = (*bucketCheck)(nil)
	_ PermissionHolder = (*topic)(nil)
	_ PermissionHolder = (*Archive)(nil)
)

// Place is where resources are, for ARNs.
type Place struct {
	Partition, Region, Account string
	// Ask allows calls to AWS.
	Ask bool
}

// PlaceOf returns the place of an account, in the region's partition.
func PlaceOf(region, account string) Place {
	partition, _ := partitionOf(region)
	return Place{Partition: partition, Region: region, Account: account}
}

// partitionOf returns a region's partition and the suffix of its host names, as
// the SDK knows them. The suffix doesn't follow from the partition's name.
func partitionOf(region string) (partition, domain string) {
	e, err := secretsmanager.NewDefaultEndpointResolver().ResolveEndpoint(region, secretsmanager.EndpointResolverOptions{})
	if err != nil || e.PartitionID == "" {
		return "aws", "amazonaws.com"
	}
	host := strings.TrimPrefix(e.URL, "https://")
	return e.PartitionID, strings.TrimPrefix(host, "secretsmanager."+region+".")
}

// arn returns the ARN of a regional service's resource. For "iam" it has no
// region.
func (p Place) arn(service, resource string) string {
	region := p.Region
	if service == "iam" {
		region = ""
	}
	return strings.Join([]string{"arn", p.Partition, service, region, p.Account, resource}, ":")
}

// useOfKey is a permission to use a KMS key, given by id, ARN or alias, through one
// service only. An alias can't be the resource of these actions, so the permission
// covers all keys on condition that they have the alias.
func (p Place) useOfKey(id, service string) Permission {
	_, domain := partitionOf(p.Region)
	need := Permission{
		ID:        "UseKeys",
		Condition: map[string]map[string][]string{"StringEquals": {"kms:ViaService": {service + "." + p.Region + "." + domain}}},
	}
	_, name, isARN := strings.Cut(id, ":alias/")
	if !isARN {
		name, _ = strings.CutPrefix(id, "alias/")
	}
	switch {
	case isARN, strings.HasPrefix(id, "alias/"):
		need.Resource = p.arn("kms", "key/*")
		need.Condition["ForAnyValue:StringEquals"] = map[string][]string{"kms:ResourceAliases": {"alias/" + name}}
	case strings.HasPrefix(id, "arn:"):
		need.Resource = id
	default:
		need.Resource = p.arn("kms", "key/"+id)
	}
	return need
}

// bucket returns the ARN of an S3 bucket, or of objects in it.
func (p Place) bucket(name string) string { return "arn:" + p.Partition + ":s3:::" + name }

// Name returns the connection's name.
func (c *Connection) Name() string { return c.name }

// Region returns the region of the connection's calls.
func (c *Connection) Region() string { return c.region }

// RoleARN returns the role that the connection assumes, "" for none.
func (c *Connection) RoleARN() string { return c.role }

// ExternalID returns the external id passed with the role, "" for none.
func (c *Connection) ExternalID() string { return c.externalID }

// LogIn asks AWS who Rota is, and returns an error if that fails.
func (c *Connection) LogIn(ctx context.Context) error {
	_, err := c.identity(ctx)
	return c.fail("get caller identity", err)
}

// PlaceIn returns where the connection's resources are if this is its account. The
// account of a role that it assumes takes precedence. It doesn't call AWS.
func (c *Connection) PlaceIn(account string) Place {
	if own, ok := AccountIn(c.role); ok {
		return Place{Partition: partition(c.role), Region: c.region, Account: own}
	}
	return PlaceOf(c.region, account)
}

// Place returns where the connection's resources are. It calls AWS even for a
// role, although its ARN contains the account: a response proves that further
// calls can be made.
func (c *Connection) Place(ctx context.Context) (Place, error) {
	me, err := c.identity(ctx)
	if err != nil {
		if account, ok := AccountIn(c.role); ok {
			return c.PlaceIn(account), nil
		}
		return Place{}, c.fail("get caller identity", err)
	}
	at := c.placeOf(me)
	at.Ask = true
	return at, nil
}

// placeOf returns the place of an identity's resources.
func (c *Connection) placeOf(me identity) Place {
	return Place{Partition: partition(me.arn), Region: c.region, Account: me.account}
}

// AccountIn returns the account in an ARN.
func AccountIn(arn string) (string, bool) {
	parsed, err := awsarn.Parse(arn)
	return parsed.AccountID, err == nil && parsed.AccountID != ""
}

// CallerPermissions returns what the identity that runs Rota needs for the
// connection itself: to assume its role. Each intermediate role needs to assume
// the next one.
func (c *Connection) CallerPermissions() []Permission {
	if c.role == "" {
		return nil
	}
	return alongChain(Permission{ID: "AssumeRoles", Action: "sts:AssumeRole", Why: "works as this role for connection " + c.name}, c.chain, c.role)
}

// alongChain is a permission on the first role of a chain, and for each role on
// the way on the next one, to its end.
func alongChain(p Permission, chain []string, end string) []Permission {
	var needs []Permission
	for _, role := range append(slices.Clone(chain), end) {
		p.Resource = role
		needs = append(needs, p)
		p.Holder, p.Why = role, "goes on to the next role"
	}
	return needs
}

// CheckPermissions returns what rota check needs to find missing permissions by
// itself. An identity without a fixed role can't be named.
func (c *Connection) CheckPermissions() []Permission {
	if c.role == "" {
		return nil
	}
	return []Permission{{ID: "SimulatePolicy", Action: "iam:SimulatePrincipalPolicy", Resource: c.role, For: ToCheck,
		Why: "asks whether the role may do all this, without trying it"}}
}
