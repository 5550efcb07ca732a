package opentofu

import (
	"context"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// provider stands in for one of Terraform's. It has no memory: what a resource
// is, OpenTofu's state says.
type provider struct {
	tfprotov6.ProviderServer // what is not below is never called

	resources, data, ephemeral map[string]kind
}

// newProvider makes the stand-in. Its schemas are checked when they are asked
// for.
func newProvider() (*provider, error) {
	all, err := readKinds()
	if err != nil {
		return nil, err
	}
	p := &provider{resources: map[string]kind{}, data: map[string]kind{}, ephemeral: map[string]kind{}}
	for to, from := range map[*map[string]kind][]kind{&p.resources: all.Resources, &p.data: all.Data, &p.ephemeral: all.Ephemeral} {
		for _, k := range from {
			(*to)[k.Name] = k
		}
	}
	return p, nil
}

func wrong(err error) []*tfprotov6.Diagnostic {
	if err == nil {
		return nil
	}
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: err.Error()}}
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	resp := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range p.resources {
		resp.Resources = append(resp.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range p.data {
		resp.DataSources = append(resp.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	for name := range p.ephemeral {
		resp.EphemeralResources = append(resp.EphemeralResources, tfprotov6.EphemeralResourceMetadata{TypeName: name})
	}
	return resp, nil
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	own, err := wireBlock("provider", map[string]string{"region": "string"}, nil)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov6.GetProviderSchemaResponse{Provider: &tfprotov6.Schema{Block: own}, ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	schemasOf := func(kinds map[string]kind) map[string]*tfprotov6.Schema {
		all := map[string]*tfprotov6.Schema{}
		for name, k := range kinds {
			s, schemaErr := k.schema()
			if schemaErr != nil {
				err = schemaErr
			}
			all[name] = s
		}
		return all
	}
	resp.ResourceSchemas, resp.DataSourceSchemas, resp.EphemeralResourceSchemas = schemasOf(p.resources), schemasOf(p.data), schemasOf(p.ephemeral)
	return resp, err
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (p *provider) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// ValidateResourceConfig refuses a value for what only the provider says.
func (p *provider) ValidateResourceConfig(_ context.Context, r *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	k := p.resources[r.TypeName]
	_, err := k.change(r.Config, func(attributes map[string]cty.Value) error {
		for name, a := range k.Attributes {
			if is(a, "computed") && !is(a, "optional") && !attributes[name].IsNull() {
				return fmt.Errorf("%s can't be given", name)
			}
		}
		return nil
	})
	return &tfprotov6.ValidateResourceConfigResponse{Diagnostics: wrong(err)}, nil
}

func (p *provider) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (p *provider) ValidateEphemeralResourceConfig(context.Context, *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return &tfprotov6.ValidateEphemeralResourceConfigResponse{}, nil
}

func (p *provider) UpgradeResourceState(_ context.Context, r *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	of := p.resources[r.TypeName].valueType()
	v, err := ctyjson.Unmarshal(r.RawState.JSON, of)
	if err != nil {
		return &tfprotov6.UpgradeResourceStateResponse{Diagnostics: wrong(err)}, nil
	}
	state, err := encode(v, of)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: state, Diagnostics: wrong(err)}, nil
}

func (p *provider) ReadResource(_ context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: r.CurrentState}, nil
}

// PlanResourceChange leaves open what is known only once a resource is made.
func (p *provider) PlanResourceChange(_ context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	k := p.resources[r.TypeName]
	planned, err := k.change(r.ProposedNewState, func(attributes map[string]cty.Value) error {
		for name, a := range k.Attributes {
			switch {
			case is(a, "write_only"):
				attributes[name] = cty.NullVal(types[typeWord(a)].value)
			case is(a, "computed") && attributes[name].IsNull():
				attributes[name] = cty.UnknownVal(types[typeWord(a)].value)
			}
		}
		if tags, ok := attributes["tags"]; ok {
			attributes["tags_all"] = tags // the provider has no default tags
		}
		return nil
	})
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned, Diagnostics: wrong(err)}, nil
}

// ApplyResourceChange makes known what the plan left open.
func (p *provider) ApplyResourceChange(_ context.Context, r *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	k := p.resources[r.TypeName]
	state, err := k.change(r.PlannedState, k.fill)
	return &tfprotov6.ApplyResourceChangeResponse{NewState: state, Diagnostics: wrong(err)}, nil
}

func (p *provider) ReadDataSource(_ context.Context, r *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	k := p.data[r.TypeName]
	state, err := k.change(r.Config, func(attributes map[string]cty.Value) error {
		if k.Name == "aws_iam_policy_document" {
			var err error
			if attributes["json"], err = policyDocument(attributes); err != nil {
				return err
			}
		}
		return k.fill(attributes)
	})
	return &tfprotov6.ReadDataSourceResponse{State: state, Diagnostics: wrong(err)}, nil
}

func (p *provider) OpenEphemeralResource(_ context.Context, r *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	k := p.ephemeral[r.TypeName]
	result, err := k.change(r.Config, k.fill)
	return &tfprotov6.OpenEphemeralResourceResponse{Result: result, Diagnostics: wrong(err)}, nil
}

func (p *provider) CloseEphemeralResource(context.Context, *tfprotov6.CloseEphemeralResourceRequest) (*tfprotov6.CloseEphemeralResourceResponse, error) {
	return &tfprotov6.CloseEphemeralResourceResponse{}, nil
}

// change decodes a value of a kind, lets f change its attributes, and encodes
// it. Null stays null.
func (k kind) change(in *tfprotov6.DynamicValue, f func(map[string]cty.Value) error) (*tfprotov6.DynamicValue, error) {
	of := k.valueType()
	v, err := msgpack.Unmarshal(in.MsgPack, of)
	if err != nil || v.IsNull() {
		return in, err
	}
	attributes := v.AsValueMap()
	if err := f(attributes); err != nil {
		return nil, err
	}
	return encode(cty.ObjectVal(attributes), of)
}

func encode(v cty.Value, of cty.Type) (*tfprotov6.DynamicValue, error) {
	out, err := msgpack.Marshal(v, of)
	return &tfprotov6.DynamicValue{MsgPack: out}, err
}

// fill sets each unknown attribute to its value in the kind's "known", in that
// order.
func (k kind) fill(attributes map[string]cty.Value) error {
	known, diags := hcl.ExprMap(k.Known)
	if diags.HasErrors() {
		return diags
	}
	for _, entry := range known {
		name := hcl.ExprAsKeyword(entry.Key)
		if a := attributes[name]; a.IsKnown() && !a.IsNull() {
			continue
		}
		v, diags := entry.Value.Value(&hcl.EvalContext{Variables: attributes})
		if diags.HasErrors() {
			return diags
		}
		v, err := convert.Convert(v, types[typeWord(k.Attributes[name])].value)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", k.Name, name, err)
		}
		attributes[name] = v
	}
	for name, v := range attributes {
		if !v.IsKnown() {
			attributes[name] = cty.NullVal(v.Type())
		}
	}
	return nil
}
