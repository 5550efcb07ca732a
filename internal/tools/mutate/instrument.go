package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// instrumenter writes a file's text so that each mutant in it can be switched
// on. It adds no lines, so positions in panics and errors stay right.
type instrumenter struct {
	fset     *token.FileSet
	file     string
	src      []byte
	function string
	all      *[]*mutant
	seen     map[string]int // how many of one key there are
	edits    []edit
	results  []bool // of the function being walked: which results are plain bools
}

// edit replaces a piece of the text.
type edit struct {
	at, length int
	text       string
}

func (in *instrumenter) offset(p token.Pos) int { return in.fset.Position(p).Offset }

// insert adds text. Calls are in the order of a walk, outer nodes first where
// they open and last where they close, so a stable sort nests them.
func (in *instrumenter) insert(p token.Pos, format string, args ...any) {
	in.edits = append(in.edits, edit{at: in.offset(p), text: fmt.Sprintf(format, args...)})
}

func (in *instrumenter) replace(from, to token.Pos, text string) {
	in.edits = append(in.edits, edit{at: in.offset(from), length: in.offset(to) - in.offset(from), text: text})
}

func (in *instrumenter) text() []byte {
	slices.SortStableFunc(in.edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
	var out bytes.Buffer
	at := 0
	for _, e := range in.edits {
		out.Write(in.src[at:e.at])
		out.WriteString(e.text)
		at = e.at + e.length
	}
	out.Write(in.src[at:])
	return out.Bytes()
}

// mutant notes one and returns its number.
func (in *instrumenter) mutant(n ast.Node, what string) int {
	position := in.fset.Position(n.Pos())
	m := &mutant{
		id: len(*in.all) + 1, file: in.file, line: position.Line, column: position.Column, function: in.function, what: what,
		source: strings.Join(strings.Fields(string(in.src[in.offset(n.Pos()):in.offset(n.End())])), " "), nth: 1,
	}
	in.seen[m.key()]++
	m.nth = in.seen[m.key()]
	*in.all = append(*in.all, m)
	return m.id
}

// body walks a function's body.
func (in *instrumenter) body(t *ast.FuncType, b *ast.BlockStmt) {
	outer := in.results
	in.results = nil
	if t.Results != nil {
		for _, f := range t.Results.List {
			id, ok := f.Type.(*ast.Ident)
			for range max(1, len(f.Names)) {
				in.results = append(in.results, ok && id.Name == "bool")
			}
		}
	}
	in.block(b.List)
	in.results = outer
}

func (in *instrumenter) block(list []ast.Stmt) {
	for _, s := range list {
		in.statement(s)
	}
}

// statement walks a statement of a block, which can be dropped if nothing after
// it needs it to compile.
func (in *instrumenter) statement(s ast.Stmt) {
	if !droppable(s) {
		in.inside(s)
		return
	}
	in.insert(s.Pos(), "if !mutantOn(%d) { ", in.mutant(s, "dropped"))
	in.inside(s)
	in.insert(s.End(), " }")
}

func droppable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return ok && !isPanic(call) && !isLog(call)
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE {
			return false
		}
		for _, l := range s.Lhs {
			if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
				return true
			}
		}
		return false
	case *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE
	}
	return false
}

func isPanic(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == "panic"
}

// isLog reports whether a call only writes to the log, which no test has to
// notice.
func isLog(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch x := method.X.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "log") || x.Name == "slog"
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log")
	}
	return false
}

// inside walks the parts of a node, in the order of the text.
func (in *instrumenter) inside(n ast.Node) {
	switch n := n.(type) {
	case nil:
	case *ast.IfStmt:
		in.maybe(n.Init)
		in.condition(n.Cond, both)
		in.block(n.Body.List)
		in.maybe(n.Else)
	case *ast.ForStmt:
		in.maybe(n.Init)
		if n.Cond != nil {
			in.condition(n.Cond, never) // always true would never end
		}
		in.maybe(n.Post)
		in.block(n.Body.List)
	case *ast.BlockStmt:
		in.block(n.List)
	case *ast.SwitchStmt:
		in.maybe(n.Init)
		if n.Tag != nil {
			in.inside(n.Tag)
		}
		for _, c := range n.Body.List {
			clause := c.(*ast.CaseClause)
			for _, e := range clause.List {
				if n.Tag == nil {
					in.condition(e, both)
				} // else it might have to be constant
			}
			in.block(clause.Body)
		}
	case *ast.TypeSwitchStmt:
		in.maybe(n.Init)
		for _, c := range n.Body.List {
			in.block(c.(*ast.CaseClause).Body)
		}
	case *ast.SelectStmt:
		for _, c := range n.Body.List {
			in.block(c.(*ast.CommClause).Body)
		}
	case *ast.LabeledStmt:
		in.inside(n.Stmt)
	case *ast.ReturnStmt:
		for i, e := range n.Results {
			if len(n.Results) == len(in.results) && in.results[i] {
				in.condition(e, both)
			} else {
				in.inside(e)
			}
		}
	case *ast.FuncLit:
		in.body(n.Type, n.Body)
	case *ast.GenDecl: // may have to be constant
	case *ast.DeclStmt:
	case *ast.BinaryExpr, *ast.UnaryExpr:
		if e := n.(ast.Expr); isBool(e) {
			in.condition(e, both)
			return
		}
		in.children(n)
	default:
		in.children(n)
	}
}

func (in *instrumenter) maybe(s ast.Stmt) {
	if s != nil {
		in.inside(s)
	}
}

// children walks the direct children of a node that needs nothing special.
func (in *instrumenter) children(n ast.Node) {
	ast.Inspect(n, func(child ast.Node) bool {
		if child == nil || child == n {
			return true
		}
		in.inside(child)
		return false
	})
}

// isBool reports whether an expression is one whose result is a plain bool,
// whatever its operands are.
func isBool(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return isBool(e.X)
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
			return true
		}
	}
	return false
}

// forced says how a condition is forced. In a chain of &&, an operand that is
// never true is the same as a chain that is never true, so only the chain is
// forced that way; || is the mirror of it.
type forced int

const (
	both forced = iota
	always
	never
	neither
)

// condition walks an expression whose value is a plain bool.
func (in *instrumenter) condition(e ast.Expr, f forced) {
	inner, isChain := both, false
	if b, ok := e.(*ast.BinaryExpr); ok {
		switch b.Op {
		case token.LAND:
			inner, isChain = always, true
		case token.LOR:
			inner, isChain = never, true
		}
	}
	if id, ok := e.(*ast.Ident); ok && (id.Name == "true" || id.Name == "false") {
		what := "true instead of"
		if id.Name == "true" {
			what = "false instead of"
		}
		in.insert(e.Pos(), "(mutantOn(%d) != ", in.mutant(e, what))
		in.insert(e.End(), ")")
		return
	}
	if isChain {
		// What the operands are forced to covers one direction for the chain.
		switch {
		case inner == always && (f == both || f == never):
			f = never
		case inner == never && (f == both || f == always):
			f = always
		default:
			f = neither
		}
	}
	closing := ""
	if f == both || f == never {
		in.insert(e.Pos(), "(!mutantOn(%d) && ", in.mutant(e, "never true"))
		closing += ")"
	}
	if f == both || f == always {
		in.insert(e.Pos(), "(mutantOn(%d) || ", in.mutant(e, "always true"))
		closing += ")"
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		switch {
		case isChain:
			in.condition(e.X, inner)
			in.condition(e.Y, inner)
		case e.Op == token.LSS || e.Op == token.LEQ || e.Op == token.GTR || e.Op == token.GEQ:
			in.boundary(e)
		default:
			in.children(e)
		}
	case *ast.CallExpr:
		if !in.moment(e) {
			in.inside(e)
		}
	case *ast.ParenExpr:
		in.condition(e.X, neither)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			in.condition(e.X, neither)
		} else {
			in.children(e)
		}
	default:
		in.inside(e)
	}
	in.insert(e.End(), "%s", closing)
}

// boundary moves the boundary of a comparison: < becomes <= and so on.
func (in *instrumenter) boundary(e *ast.BinaryExpr) {
	name := map[token.Token]string{token.LSS: "mutantLess", token.LEQ: "mutantLessEqual", token.GTR: "mutantGreater", token.GEQ: "mutantGreaterEqual"}[e.Op]
	to := map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}[e.Op]
	in.insert(e.Pos(), "%s(%d, ", name, in.mutant(e, to+" instead of "+e.Op.String()))
	in.inside(e.X)
	in.replace(e.OpPos, e.OpPos+token.Pos(len(e.Op.String())), ",")
	in.inside(e.Y)
	in.insert(e.End(), ")")
}

// moment moves the boundary of a.Before(b) or a.After(b): a moment that is
// neither before nor after now counts.
func (in *instrumenter) moment(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != 1 || method.Sel.Name != "Before" && method.Sel.Name != "After" {
		return false
	}
	in.insert(call.Pos(), "mutant%s(%d, ", method.Sel.Name, in.mutant(call, "also if equal"))
	in.inside(method.X)
	in.replace(method.X.End(), call.Args[0].Pos(), ", ")
	in.inside(call.Args[0])
	return true
}
