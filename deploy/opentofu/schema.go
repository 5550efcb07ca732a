package opentofu

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsimple"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/zclconf/go-cty/cty"
)

//go:embed schemas.hcl
var schemas []byte

// kind is a kind of resource, data source or ephemeral resource.
type kind struct {
	Name       string            `hcl:"name,label"`
	Attributes map[string]string `hcl:"attributes"`
	Known      hcl.Expression    `hcl:"known,optional"`
	Nested     []nested          `hcl:"nested,block"`
}

// nested is a block within a kind, or within another block.
type nested struct {
	Name       string            `hcl:"name,label"`
	Required   bool              `hcl:"required,optional"`
	Attributes map[string]string `hcl:"attributes"`
	Nested     []nested          `hcl:"nested,block"`
}

// kinds are all kinds, by name.
type kinds struct {
	Resources []kind `hcl:"resource,block"`
	Data      []kind `hcl:"data,block"`
	Ephemeral []kind `hcl:"ephemeral,block"`
}

func readKinds() (kinds, error) {
	var k kinds
	err := hclsimple.Decode("schemas.hcl", schemas, nil, &k)
	return k, err
}

// types maps an attribute's first word to its type.
var types = map[string]struct {
	wire  tftypes.Type
	value cty.Type
}{
	"string":  {tftypes.String, cty.String},
	"number":  {tftypes.Number, cty.Number},
	"bool":    {tftypes.Bool, cty.Bool},
	"strings": {tftypes.Set{ElementType: tftypes.String}, cty.Set(cty.String)},
	"map":     {tftypes.Map{ElementType: tftypes.String}, cty.Map(cty.String)},
}

// is reports whether an attribute has a property besides its type.
func is(attribute, property string) bool {
	return slices.Contains(strings.Fields(attribute)[1:], property)
}

func typeWord(attribute string) string { return strings.Fields(attribute)[0] }

// valueType is the type of a kind's or a block's values.
func valueType(attributes map[string]string, blocks []nested) cty.Type {
	of := map[string]cty.Type{}
	for name, a := range attributes {
		of[name] = types[typeWord(a)].value
	}
	for _, b := range blocks {
		of[b.Name] = cty.List(valueType(b.Attributes, b.Nested))
	}
	return cty.Object(of)
}

func (k kind) valueType() cty.Type { return valueType(k.Attributes, k.Nested) }

// schema is a kind's schema on the wire.
func (k kind) schema() (*tfprotov6.Schema, error) {
	block, err := wireBlock(k.Name, k.Attributes, k.Nested)
	return &tfprotov6.Schema{Block: block}, err
}

func wireBlock(of string, attributes map[string]string, blocks []nested) (*tfprotov6.SchemaBlock, error) {
	block := &tfprotov6.SchemaBlock{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		known, ok := types[typeWord(a)]
		if !ok {
			return nil, fmt.Errorf("%s: %s has no type: %s", of, name, a)
		}
		block.Attributes = append(block.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: known.wire, Required: is(a, "required"), Optional: !is(a, "required") && !is(a, "computed") || is(a, "optional"),
			Computed: is(a, "computed"), WriteOnly: is(a, "write_only"),
		})
	}
	for _, b := range blocks {
		inner, err := wireBlock(of+"."+b.Name, b.Attributes, b.Nested)
		if err != nil {
			return nil, err
		}
		w := &tfprotov6.SchemaNestedBlock{TypeName: b.Name, Block: inner, Nesting: tfprotov6.SchemaNestedBlockNestingModeList}
		if b.Required {
			w.MinItems = 1
		}
		block.BlockTypes = append(block.BlockTypes, w)
	}
	return block, nil
}
