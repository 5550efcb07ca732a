package gitlab

import (
	"cmp"
	"context"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota/provider"
)

// Level is what a place of variables or tokens belongs to.
type Level string

// The levels.
const (
	LevelProject  Level = "project"
	LevelGroup    Level = "group"
	LevelInstance Level = "instance"
)

// Place is where variables are kept.
type Place struct {
	Level Level
	// ID is the project's or group's path or number; "" for the instance.
	ID string
	// Environment is the scope of the variables, such as "production". Defaults to "*",
	// every environment. The instance has none.
	Environment string
}

// String is the place for people.
func (p Place) String() string {
	switch {
	case p.Level == LevelInstance:
		return "the instance"
	case p.scope() != anyEnvironment:
		return string(p.Level) + " " + p.ID + ", environment " + p.Environment
	}
	return string(p.Level) + " " + p.ID
}

// anyEnvironment is the scope of variables that every job gets.
const anyEnvironment = "*"

// scope is the environment as GitLab has it.
func (p Place) scope() string { return cmp.Or(p.Environment, anyEnvironment) }

// needs is what Rota's token must be allowed to change variables there.
func (p Place) needs() need {
	switch p.Level {
	case LevelGroup:
		return needGroup
	case LevelInstance:
		return needAdmin
	}
	return needProject
}

// variable is one as GitLab has it. A hidden one's value isn't told.
type variable struct {
	value                          string
	file                           bool
	protected, masked, hidden, raw bool
}

func (p Place) filter() *api.VariableFilter {
	return &api.VariableFilter{EnvironmentScope: p.scope()}
}

// get reads a variable; found is false if there is none.
func (c *Connection) getVariable(ctx context.Context, p Place, key string) (v variable, exists bool, err error) {
	var resp *api.Response
	switch p.Level {
	case LevelProject:
		var x *api.ProjectVariable
		if x, resp, err = c.api.ProjectVariables.GetVariable(p.ID, key, &api.GetProjectVariableOptions{Filter: p.filter()}, with(ctx)); err == nil {
			v = variable{x.Value, x.VariableType == api.FileVariableType, x.Protected, x.Masked, x.Hidden, x.Raw}
		}
	case LevelGroup:
		var x *api.GroupVariable
		if x, resp, err = c.api.GroupVariables.GetVariable(p.ID, key, &api.GetGroupVariableOptions{Filter: p.filter()}, with(ctx)); err == nil {
			v = variable{x.Value, x.VariableType == api.FileVariableType, x.Protected, x.Masked, x.Hidden, x.Raw}
		}
	default:
		var x *api.InstanceVariable
		if x, resp, err = c.api.InstanceVariables.GetVariable(key, with(ctx)); err == nil {
			v = variable{x.Value, x.VariableType == api.FileVariableType, x.Protected, x.Masked, false, x.Raw}
		}
	}
	err = c.fail("read variable "+key+" of "+p.String(), p.needs(), resp, err)
	if provider.StatusOf(err) == 404 {
		return variable{}, false, nil // of a project that isn't there, the write says so
	}
	return v, err == nil, err
}

// updateVariable writes an existing variable.
func (c *Connection) updateVariable(ctx context.Context, p Place, key string, v variable) error {
	kind := v.kind()
	var resp *api.Response
	var err error
	switch p.Level {
	case LevelProject:
		_, resp, err = c.api.ProjectVariables.UpdateVariable(p.ID, key, &api.UpdateProjectVariableOptions{
			Value: &v.value, Masked: &v.masked, Protected: &v.protected, Raw: &v.raw, VariableType: &kind, Filter: p.filter()}, with(ctx))
	case LevelGroup:
		_, resp, err = c.api.GroupVariables.UpdateVariable(p.ID, key, &api.UpdateGroupVariableOptions{
			Value: &v.value, Masked: &v.masked, Protected: &v.protected, Raw: &v.raw, VariableType: &kind, Filter: p.filter()}, with(ctx))
	default:
		_, resp, err = c.api.InstanceVariables.UpdateVariable(key, &api.UpdateInstanceVariableOptions{
			Value: &v.value, Masked: &v.masked, Protected: &v.protected, Raw: &v.raw, VariableType: &kind}, with(ctx))
	}
	return refusedVariable(c.fail("write variable "+key+" of "+p.String(), p.needs(), resp, err))
}

// createVariable makes a variable that doesn't exist yet.
func (c *Connection) createVariable(ctx context.Context, p Place, key, description string, v variable) error {
	kind := v.kind()
	masked, hidden := &v.masked, (*bool)(nil)
	if v.hidden {
		masked, hidden = nil, &v.hidden
	}
	var resp *api.Response
	var err error
	var got written
	switch p.Level {
	case LevelProject:
		var x *api.ProjectVariable
		x, resp, err = c.api.ProjectVariables.CreateVariable(p.ID, &api.CreateProjectVariableOptions{Key: &key, Value: &v.value, Description: &description,
			Masked: masked, MaskedAndHidden: hidden, Protected: &v.protected, Raw: &v.raw, VariableType: &kind, EnvironmentScope: new(p.scope())}, with(ctx))
		if err == nil {
			got = written{variable{masked: x.Masked, hidden: x.Hidden, raw: x.Raw}, x.EnvironmentScope}
		}
	case LevelGroup:
		var x *api.GroupVariable
		x, resp, err = c.api.GroupVariables.CreateVariable(p.ID, &api.CreateGroupVariableOptions{Key: &key, Value: &v.value, Description: &description,
			Masked: masked, MaskedAndHidden: hidden, Protected: &v.protected, Raw: &v.raw, VariableType: &kind, EnvironmentScope: new(p.scope())}, with(ctx))
		if err == nil {
			got = written{variable{masked: x.Masked, hidden: x.Hidden, raw: x.Raw}, x.EnvironmentScope}
		}
	default:
		var x *api.InstanceVariable
		x, resp, err = c.api.InstanceVariables.CreateVariable(&api.CreateInstanceVariableOptions{Key: &key, Value: &v.value, Description: &description,
			Masked: &v.masked, Protected: &v.protected, Raw: &v.raw, VariableType: &kind}, with(ctx))
		if err == nil {
			got = written{variable: variable{masked: x.Masked, raw: x.Raw}}
		}
	}
	if err := refusedVariable(c.fail("create variable "+key+" of "+p.String(), p.needs(), resp, err)); err != nil {
		return p.taken(err)
	}
	return c.asAsked(ctx, p, key, v, got)
}

// removeVariable undoes createVariable.
func (c *Connection) removeVariable(ctx context.Context, p Place, key string) error {
	var resp *api.Response
	var err error
	switch p.Level {
	case LevelProject:
		resp, err = c.api.ProjectVariables.RemoveVariable(p.ID, key, &api.RemoveProjectVariableOptions{Filter: p.filter()}, with(ctx))
	case LevelGroup:
		resp, err = c.api.GroupVariables.RemoveVariable(p.ID, key, &api.RemoveGroupVariableOptions{Filter: p.filter()}, with(ctx))
	default:
		resp, err = c.api.InstanceVariables.RemoveVariable(key, with(ctx))
	}
	if err = c.fail("remove variable "+key+" of "+p.String(), p.needs(), resp, err); provider.StatusOf(err) == 404 {
		return nil
	}
	return err
}

func (v variable) kind() api.VariableTypeValue {
	if v.file {
		return api.FileVariableType
	}
	return api.EnvVariableType
}

// listOne asks for one variable of a place, whichever it is.
func (c *Connection) listOne(ctx context.Context, p Place) error {
	var resp *api.Response
	var err error
	one := api.ListOptions{PerPage: 1}
	switch p.Level {
	case LevelProject:
		_, resp, err = c.api.ProjectVariables.ListVariables(p.ID, &api.ListProjectVariablesOptions{ListOptions: one}, with(ctx))
	case LevelGroup:
		_, resp, err = c.api.GroupVariables.ListVariables(p.ID, &api.ListGroupVariablesOptions{ListOptions: one}, with(ctx))
	default:
		_, resp, err = c.api.InstanceVariables.ListVariables(&api.ListInstanceVariablesOptions{ListOptions: one}, with(ctx))
	}
	return c.fail("list the variables of "+p.String(), p.needs(), resp, err)
}
