package function_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// plan is a Terraform module whose expressions are evaluated with its
// variables, and with made-up values for what only AWS would know.
type plan struct {
	t      *testing.T
	folder string
	blocks []*hclsyntax.Block
	made   map[string]map[string]cty.Value // further attributes, by resource type

	known   map[string]map[string]cty.Value // by root and name: "local", "aws_iam_user", …
	data    map[string]map[string]cty.Value
	modules map[string]*plan
	count   int             // of the known values
	unknown hcl.Diagnostics // what could not be evaluated
}

// terraform evaluates a module in deploy/terraform. made are attributes that
// resources have by themselves, by resource type, besides their ARNs.
func terraform(t *testing.T, folder string, variables map[string]cty.Value, made map[string]map[string]cty.Value) *plan {
	t.Helper()
	p := &plan{t: t, folder: filepath.Join("..", "..", "deploy", "terraform", folder), made: made, modules: map[string]*plan{}, data: map[string]map[string]cty.Value{}}
	files, err := filepath.Glob(filepath.Join(p.folder, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no module in %s: %v", p.folder, err)
	}
	parser := hclparse.NewParser()
	for _, path := range files {
		file, diags := parser.ParseHCLFile(path)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		p.blocks = append(p.blocks, file.Body.(*hclsyntax.Body).Blocks...)
	}
	p.known = map[string]map[string]cty.Value{"local": {}, "module": {}, "output": {}, "var": p.given(variables)}
	// References aren't sorted: everything is evaluated until no more becomes
	// known.
	for last := -1; p.count > last; {
		last, p.count, p.unknown = p.count, 0, nil
		for _, b := range p.blocks {
			p.evaluate(b)
		}
	}
	return p
}

// given are the variables, by their declared types, with their defaults.
func (p *plan) given(variables map[string]cty.Value) map[string]cty.Value {
	p.t.Helper()
	all := map[string]cty.Value{}
	for _, b := range p.blocks {
		if b.Type != "variable" {
			continue
		}
		value, ok := variables[b.Labels[0]]
		if fallback := b.Body.Attributes["default"]; !ok && fallback != nil {
			value, _ = fallback.Expr.Value(nil)
			ok = true
		}
		if !ok {
			p.t.Fatalf("%s: no variable %s", p.folder, b.Labels[0])
		}
		kind, diags := typeexpr.TypeConstraint(b.Body.Attributes["type"].Expr)
		if diags.HasErrors() {
			p.t.Fatal(diags)
		}
		value, err := convert.Convert(value, kind)
		if err != nil {
			p.t.Fatalf("%s: variable %s: %v", p.folder, b.Labels[0], err)
		}
		all[b.Labels[0]] = value
	}
	for name := range variables {
		if _, ok := all[name]; !ok {
			p.t.Fatalf("%s has no variable %s", p.folder, name)
		}
	}
	return all
}

func (p *plan) evaluate(b *hclsyntax.Block) {
	switch b.Type {
	case "locals":
		maps.Copy(p.known["local"], p.attributes(b.Body, p.scope()))
	case "output":
		if v, ok := p.attributes(b.Body, p.scope())["value"]; ok {
			p.known["output"][b.Labels[0]] = v
		}
	case "module":
		p.call(b)
	case "resource":
		p.keep(p.known, b)
	case "data", "ephemeral":
		p.keep(p.data, b)
	}
}

// call evaluates a module that this one calls, once all arguments are known.
func (p *plan) call(b *hclsyntax.Block) {
	name, arguments := b.Labels[0], p.attributes(b.Body, p.scope())
	if p.modules[name] == nil && len(arguments) == len(b.Body.Attributes) {
		source := filepath.Join(filepath.Base(filepath.Dir(p.folder)), filepath.Base(p.folder), arguments["source"].AsString())
		delete(arguments, "source")
		p.modules[name] = terraform(p.t, source, arguments, p.made)
		p.known["module"][name] = cty.ObjectVal(p.modules[name].known["output"])
		p.count++
	}
}

// module is a module that this one calls.
func (p *plan) module(name string) *plan {
	p.t.Helper()
	if p.modules[name] == nil {
		p.t.Fatalf("%s calls no module %s, or not all arguments are known: %v", p.folder, name, p.unknown)
	}
	return p.modules[name]
}

// keep stores what a block evaluates to: an object, or several with count or
// for_each.
func (p *plan) keep(where map[string]map[string]cty.Value, b *hclsyntax.Block) {
	kind, name := b.Labels[0], b.Labels[1]
	if where[kind] == nil {
		where[kind] = map[string]cty.Value{}
	}
	several := b.Body.Attributes["count"]
	if several == nil {
		several = b.Body.Attributes["for_each"]
	}
	if several == nil {
		where[kind][name] = p.object(kind, b.Body, p.scope())
		return
	}
	number, diags := several.Expr.Value(p.scope())
	if p.unknown = append(p.unknown, diags...); diags.HasErrors() {
		return
	}
	if several.Name == "count" {
		var all []cty.Value
		n, _ := number.AsBigFloat().Int64()
		for range n {
			all = append(all, p.object(kind, b.Body, p.scope()))
		}
		where[kind][name] = cty.TupleVal(all)
		return
	}
	all := map[string]cty.Value{}
	for k, v := range number.AsValueMap() {
		scope := p.scope()
		scope.Variables["each"] = cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(k), "value": v})
		all[k] = p.object(kind, b.Body, scope)
	}
	where[kind][name] = cty.ObjectVal(all)
}

func (p *plan) object(kind string, body *hclsyntax.Body, scope *hcl.EvalContext) cty.Value {
	before := len(p.unknown)
	fields := p.attributes(body, scope)
	if kind != "aws_iam_policy_document" || len(p.unknown) == before { // a document is whole
		maps.Copy(fields, computed(kind, fields))
	}
	maps.Copy(fields, p.made[kind])
	return cty.ObjectVal(fields)
}

// attributes are a block's known attributes, and the blocks in it, by type.
func (p *plan) attributes(body *hclsyntax.Body, scope *hcl.EvalContext) map[string]cty.Value {
	fields := map[string]cty.Value{}
	for name, a := range body.Attributes {
		v, diags := a.Expr.Value(scope)
		if diags.HasErrors() {
			p.unknown = append(p.unknown, diags...)
			continue
		}
		fields[name] = v
		p.count++
	}
	inner := map[string][]cty.Value{}
	for _, b := range body.Blocks {
		switch b.Type {
		case "lifecycle": // Terraform's own
		case "dynamic":
			elements, diags := b.Body.Attributes["for_each"].Expr.Value(scope)
			if diags.HasErrors() {
				p.unknown = append(p.unknown, diags...)
				continue
			}
			for it := elements.ElementIterator(); it.Next(); {
				_, v := it.Element()
				one := scope.NewChild()
				one.Variables = map[string]cty.Value{b.Labels[0]: cty.ObjectVal(map[string]cty.Value{"value": v})}
				inner[b.Labels[0]] = append(inner[b.Labels[0]], cty.ObjectVal(p.attributes(b.Body.Blocks[0].Body, one)))
			}
		default:
			inner[b.Type] = append(inner[b.Type], cty.ObjectVal(p.attributes(b.Body, scope)))
		}
	}
	for kind, blocks := range inner {
		fields[kind] = cty.TupleVal(blocks)
	}
	return fields
}

// scope is what expressions see.
func (p *plan) scope() *hcl.EvalContext {
	c := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: map[string]function.Function{
		"jsonencode": stdlib.JSONEncodeFunc, "merge": stdlib.MergeFunc, "coalesce": stdlib.CoalesceFunc, "timeadd": stdlib.TimeAddFunc,
		"length": lengthFunc,
	}}
	for root, values := range p.known {
		c.Variables[root] = cty.ObjectVal(values)
	}
	read := map[string]cty.Value{}
	for kind, values := range p.data {
		read[kind] = cty.ObjectVal(values)
	}
	c.Variables["data"], c.Variables["ephemeral"] = cty.ObjectVal(read), cty.ObjectVal(read)
	c.Variables["path"] = cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(p.folder)})
	return c
}

// lengthFunc also counts an object's attributes, as Terraform's does.
var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if t := args[0].Type(); t.IsObjectType() {
			return cty.NumberIntVal(int64(len(t.AttributeTypes()))), nil
		}
		return stdlib.Length(args[0])
	},
})

// computed are a resource's attributes that AWS sets, once what they derive
// from is known.
func computed(kind string, fields map[string]cty.Value) map[string]cty.Value {
	switch kind {
	case "aws_caller_identity":
		return texts("account_id", awsAccount)
	case "aws_partition":
		return texts("partition", "aws")
	case "aws_region":
		return texts("region", awsRegion)
	case "aws_iam_policy_document":
		return texts("json", document(fields["statement"]))
	}
	name, ok := fields["name"]
	if kind == "aws_lambda_function" {
		name, ok = fields["function_name"]
	}
	if !ok {
		return nil
	}
	path := "/"
	if given, ok := fields["path"]; ok {
		path = given.AsString()
	}
	if arn := arnOf(kind, path, name.AsString()); arn != "" {
		return texts("arn", arn, "id", arn)
	}
	return nil
}

func texts(pairs ...string) map[string]cty.Value {
	all := map[string]cty.Value{}
	for pair := range slices.Chunk(pairs, 2) {
		all[pair[0]] = cty.StringVal(pair[1])
	}
	return all
}

// find is the value at a path such as "aws_lambda_function.this.environment".
// It fails the test if that is unknown.
func (p *plan) find(path string) cty.Value {
	p.t.Helper()
	parts := strings.Split(path, ".")
	value, ok := p.known[parts[0]][parts[1]]
	for _, part := range parts[2:] {
		if ok && value.Type().IsTupleType() && value.LengthInt() > 0 {
			value = value.Index(cty.NumberIntVal(0))
		}
		if ok = ok && value.Type().IsObjectType() && value.Type().HasAttribute(part); ok {
			value = value.GetAttr(part)
		}
	}
	if !ok {
		p.t.Fatalf("%s: %s is not known: %v", p.folder, path, p.unknown)
	}
	return value
}

func (p *plan) text(path string) string { return p.find(path).AsString() }

func (p *plan) texts(path string) map[string]string {
	all := map[string]string{}
	for k, v := range p.find(path).AsValueMap() {
		all[k] = v.AsString()
	}
	return all
}
