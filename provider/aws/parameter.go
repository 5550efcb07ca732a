package aws

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// ParameterConfig names a parameter of SSM Parameter Store.
type ParameterConfig struct {
	// Target is the target's name. Defaults to "ssm " and the parameter's.
	Target string
	// Name is the parameter's name, such as "/prod/app/db".
	Name string
	// Type is SecureString or String. Defaults to SecureString.
	Type string
	// KeyID is the KMS key of a SecureString. Defaults to aws/ssm.
	KeyID string
	// Tier is Standard, Advanced or Intelligent-Tiering. Defaults to what the
	// account has set, which is Standard.
	Tier string
	// Value is the field, or the template of fields, to store as the parameter's
	// text, under any single name. Defaults to a JSON object.
	Value rota.FieldMap
	// Fields are the names in the JSON object. Defaults to the fields' own
	// names.
	Fields rota.FieldMap
}

// The size limits of the tiers, in bytes.
const (
	maxStandard = 4096
	maxAdvanced = 8192
)

var parameterName = regexp.MustCompile(`^(/?[a-zA-Z0-9_.-]+)(/[a-zA-Z0-9_.-]+)*$`)

// ValidateParameterName returns an error if SSM would refuse a parameter's name.
func ValidateParameterName(name string) error {
	const (
		maxLength = 1011
		maxLevels = 15
	)
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(name), "/"), "/")
	switch {
	case !parameterName.MatchString(name), strings.Contains(name, "/") && name[0] != '/':
		return rota.WithRemedies(errors.New("not a parameter's name: letters, digits and _.-, in parts that each begin with /"), rota.Configure("", "/prod/app/db"))
	case len(name) > maxLength || strings.Count(name, "/") > maxLevels:
		return fmt.Errorf("longer than %d characters, or more than %d levels deep", maxLength, maxLevels)
	case strings.HasPrefix(first, "aws"), strings.HasPrefix(first, "ssm"):
		return rota.WithRemedies(errors.New("names that begin with aws or ssm are AWS's own"), rota.Configure("", "/prod/app/db"))
	}
	return nil
}

// parameter is a target in SSM Parameter Store. The credential is delivered as one
// text, so readers see either the whole old one or the whole new one.
type parameter struct {
	connection *Connection
	cfg        ParameterConfig
}

var (
	_ rota.Target      = (*parameter)(nil)
	_ rota.Preflighter = (*parameter)(nil)
)

// Parameter returns a target that keeps a copy in SSM Parameter Store.
func (c *Connection) Parameter(cfg ParameterConfig) rota.Target {
	if cfg.Type == "" {
		cfg.Type = string(types.ParameterTypeSecureString)
	}
	if cfg.Target == "" {
		cfg.Target = "ssm " + cfg.Name
	}
	return &parameter{connection: c, cfg: cfg}
}

// Name implements [rota.Target].
func (p *parameter) Name() string { return p.cfg.Target }

func (p *parameter) op(verb string) string { return verb + " parameter " + p.cfg.Name }

// Deliver implements [rota.Target]. It skips the write if the parameter already
// has the text, and reads back what it wrote.
func (p *parameter) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	return rota.Sanitize(p.deliver(ctx, r.Credential), r.Credential)
}

func (p *parameter) deliver(ctx context.Context, c rota.Credential) error {
	text, err := p.text(c)
	if err != nil {
		return p.connection.refuse(p.op("deliver to"), "correct the target's fields", err)
	}
	if limit := p.limit(); len(text) > limit {
		hint := "fewer fields, or several parameters of one field each"
		if limit == maxStandard {
			hint = "tier: Advanced, or one parameter for each field"
		}
		return p.connection.refuse(p.op("deliver to"), hint, fmt.Errorf("the text has %d bytes, and the tier takes %d", len(text), limit))
	}
	now, err := p.read(ctx)
	if err != nil || p.holds(now, text) {
		return err
	}
	in := &ssm.PutParameterInput{
		Name: &p.cfg.Name, Value: &text, Type: types.ParameterType(p.cfg.Type), Tier: types.ParameterTier(p.cfg.Tier), Overwrite: new(true),
	}
	if p.cfg.KeyID != "" {
		in.KeyId = &p.cfg.KeyID
	}
	if _, err := p.connection.ssm.PutParameter(ctx, in); err != nil {
		return p.connection.fail(p.op("put"), err)
	}
	written, err := p.read(ctx)
	if err != nil {
		return err
	}
	if !p.holds(written, text) {
		return &rota.Error{System: p.connection.system(), Connection: p.connection.name, Op: p.op("read back"), Class: rota.ClassWait, Err: errors.New("it does not hold what was written"),
			Remedies: rota.Outside("see who else writes it")}
	}
	return nil
}

// text returns the parameter's text for a credential.
func (p *parameter) text(c rota.Credential) (string, error) {
	if names := p.cfg.Value.Names(); len(names) == 1 {
		values, err := p.cfg.Value.Render(c)
		if err == nil && values[names[0]] == "" {
			err = errors.New("the text would be empty")
		}
		return values[names[0]], err
	}
	values, err := p.cfg.Fields.Render(c)
	if err != nil {
		return "", err
	}
	return document{text: emptyValue, last: 1}.merge(values)
}

// limit returns the text's maximum length. If the tier is left to the account,
// only AWS knows the limit.
func (p *parameter) limit() int {
	if tier := types.ParameterTier(p.cfg.Tier); tier == types.ParameterTierStandard || tier == "" {
		return maxStandard
	}
	return maxAdvanced
}

// read returns the existing parameter, nil if there's none.
func (p *parameter) read(ctx context.Context) (*types.Parameter, error) {
	out, err := p.connection.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &p.cfg.Name, WithDecryption: new(true)})
	if _, missing := errors.AsType[*types.ParameterNotFound](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, p.connection.fail(p.op("read"), err)
	}
	if out.Parameter == nil {
		return nil, p.connection.fail(p.op("read"), errUnreadable)
	}
	return out.Parameter, nil
}

func (p *parameter) holds(now *types.Parameter, text string) bool {
	return now != nil && string(now.Type) == p.cfg.Type && awssdk.ToString(now.Value) == text
}

// Preflight implements [rota.Preflighter].
func (p *parameter) Preflight(ctx context.Context) []rota.Finding {
	me, findings := p.connection.preflightIdentity(ctx)
	if me.arn == "" {
		return findings
	}
	f := rota.Finding{OK: true, Check: "parameter " + p.cfg.Name, Detail: "does not exist yet; the first delivery makes it"}
	switch now, err := p.read(ctx); {
	case err != nil:
		return append(findings, provider.Failed(f.Check, err))
	case now != nil && string(now.Type) != p.cfg.Type:
		f = rota.Finding{Warning: true, Check: f.Check, Detail: fmt.Sprintf("is a %s and becomes a %s", now.Type, p.cfg.Type), Remedies: rota.Outside("type: " + string(now.Type) + ", if its readers need that")}
	case now != nil:
		f.Detail = fmt.Sprintf("a %s, in version %d", now.Type, now.Version)
	}
	return append(append(findings, f), p.connection.permissions(ctx, me, p.Permissions(ctx, p.connection.placeOf(me)))...)
}
