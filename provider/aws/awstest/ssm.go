package awstest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"time"
)

const ssmTarget = "AmazonSSM."

// parameter is a parameter in SSM Parameter Store. Table rows are never changed
// in place.
type parameter struct {
	name, kind, value, tier string
	version                 int64
	changed                 time.Time
}

const maxParameterName = 1011

var parameterName = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)

// tierSizes are the maximum sizes of a value, in bytes.
var tierSizes = map[string]int{"": 4096, "Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}

func (s *Server) ssm(x *exchange) reply {
	var (
		result any
		e      *apiError
	)
	switch x.action {
	case "PutParameter":
		result, e = s.putParameter(x)
	case "GetParameter":
		result, e = s.getParameter(x)
	default:
		e = unknownAction(x)
	}
	if e != nil {
		return s.failureLocked(x, e)
	}
	body, err := json.Marshal(result)
	if err != nil {
		return s.failureLocked(x, fail(500, "InternalServerError", err.Error()))
	}
	return reply{status: http.StatusOK, body: body, header: jsonHeader(s.newUUID())}
}

func (s *Server) putParameter(x *exchange) (any, *apiError) {
	var in struct {
		Name, Value, Type, Tier string
		Overwrite               bool
	}
	if json.Unmarshal(x.body, &in) != nil || !parameterName.MatchString(in.Name) || len(in.Name) > maxParameterName || in.Value == "" {
		return nil, fail(400, "ValidationException", "Invalid parameter name, type or value.")
	}
	old := s.params.get(in.Name, false)
	if old != nil && !in.Overwrite {
		return nil, fail(400, "ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	}
	if in.Type == "" && old != nil {
		in.Type = old.kind
	}
	if in.Type != "String" && in.Type != "SecureString" && in.Type != "StringList" {
		return nil, fail(400, "UnsupportedParameterType", "The parameter type is not supported.")
	}
	limit, ok := tierSizes[in.Tier]
	if !ok || len(in.Value) > limit {
		return nil, fail(400, "ValidationException", "The tier does not exist, or supports no value of this size.")
	}
	p := &parameter{name: in.Name, kind: in.Type, value: in.Value, tier: in.Tier, version: 1, changed: s.now()}
	if p.tier == "" {
		p.tier = "Standard"
	}
	if old != nil {
		if old.tier == "Advanced" && in.Tier == "Standard" {
			return nil, fail(400, "ValidationException", "An advanced parameter can't be made a standard one.")
		}
		p.version = old.version + 1
	}
	s.params.put(in.Name, p)
	return struct {
		Version int64
		Tier    string
	}{p.version, p.tier}, nil
}

func (s *Server) getParameter(x *exchange) (any, *apiError) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := json.Unmarshal(x.body, &in); err != nil {
		return nil, fail(400, "ValidationException", err.Error())
	}
	p := s.params.get(in.Name, x.stale)
	if p == nil {
		return nil, fail(400, "ParameterNotFound", "")
	}
	value := p.value
	if p.kind == "SecureString" && !in.WithDecryption {
		value = "AQICAHh" // an opaque ciphertext
	}
	type parameter struct {
		Name, Type, Value, ARN string
		Version                int64
		LastModifiedDate       float64
	}
	arn := "arn:aws:ssm:" + s.region + ":" + s.account + ":parameter"
	if p.name[0] != '/' {
		arn += "/"
	}
	return struct{ Parameter parameter }{parameter{p.name, p.kind, value, arn + p.name, p.version, float64(p.changed.UnixMilli()) / 1000}}, nil
}
