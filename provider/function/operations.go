package function

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/randompassword"
)

// The version ids of what isn't the new credential.
const (
	currentVersion = "11111111-1111-4111-8111-111111111111"
	otherVersion   = "22222222-2222-4222-8222-222222222222"
)

const (
	stageCurrent = string(rota.LabelCurrent)
	stagePending = string(rota.LabelPending)
)

// maxValue is the longest value that Secrets Manager takes, in bytes.
const maxValue = 64 << 10

func errNotFound(message string) error { return &apiError{"ResourceNotFoundException", message} }
func errInvalid(message string) error  { return &apiError{"InvalidParameterException", message} }

// operate carries out one of Secrets Manager's operations: those that rotation
// functions use.
func (m *manager) operate(operation string, body []byte) (any, error) {
	var in struct {
		SecretID           string `json:"SecretId"`
		ClientRequestToken string
		SecretString       *string
		VersionID          string `json:"VersionId"`
		VersionStage       string
		VersionStages      []string
		randompassword.Request
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", "The request isn't JSON of the form that this operation takes."}
	}
	if operation == "GetRandomPassword" {
		if n := in.PasswordLength; n != nil && (*n < 1 || *n > randompassword.MaxLength) {
			return nil, errInvalid(fmt.Sprintf("PasswordLength must be from 1 to %d.", randompassword.MaxLength))
		}
		password, err := in.Generate(rand.Reader)
		if err != nil {
			return nil, errInvalid(err.Error())
		}
		return map[string]string{"RandomPassword": password}, nil
	}
	e, other := m.find(in.SecretID, cmp.Or(in.ClientRequestToken, in.VersionID))
	if e == nil {
		return nil, errNotFound("Secrets Manager can't find the specified secret.")
	}
	e.note(func() { e.asked = true })
	switch operation {
	case "GetSecretValue":
		if other != nil {
			return value(in.SecretID, in.SecretID, otherVersion, []string{stageCurrent}, *other), nil
		}
		return e.get(in.VersionID, in.VersionStage)
	case "DescribeSecret":
		if other != nil {
			return map[string]any{"ARN": in.SecretID, "Name": in.SecretID, "VersionIdsToStages": map[string][]string{otherVersion: {stageCurrent}}}, nil
		}
		return map[string]any{"ARN": e.arn, "Name": e.name, "RotationEnabled": true, "VersionIdsToStages": e.stages()}, nil
	case "ListSecretVersionIds":
		var versions []map[string]any
		for id, stages := range e.stages() {
			versions = append(versions, map[string]any{"VersionId": id, "VersionStages": stages})
		}
		return map[string]any{"ARN": e.arn, "Name": e.name, "Versions": versions}, nil
	case "PutSecretValue":
		if other != nil {
			return nil, &apiError{"AccessDeniedException", "A rotation function may put a value into the secret that it rotates alone."}
		}
		return e.putValue(in.ClientRequestToken, in.SecretString, in.VersionStages)
	}
	return nil, &apiError{"AccessDeniedException", "Rota, which stands in for Secrets Manager, doesn't offer a rotation function the operation " + operation + "."}
}

// find is the entry with an ARN or a name, or one that has the secret of this name
// beside it, which is other. Of several, it's the one whose version is asked for, or the
// last one.
func (m *manager) find(id, version string) (e *entry, other *rota.Credential) {
	for _, one := range slices.Backward(m.running()) {
		if one.is(id) && (e == nil || one.token == version) {
			e = one
		}
	}
	if e != nil || id == "" {
		return e, nil
	}
	for _, e := range slices.Backward(m.running()) {
		if c, ok := e.others[id]; ok {
			return e, &c
		}
	}
	return nil, nil
}

// is reports whether an id means this secret: its ARN, with or without AWS's six
// characters, or its name.
func (e *entry) is(id string) bool {
	return id != "" && (id == e.arn || id == e.name || len(e.arn) > 7 && id == e.arn[:len(e.arn)-7])
}

// stages are those of each version. AWSPENDING is there before it has a value.
func (e *entry) stages() map[string][]string {
	out := map[string][]string{e.token: {stagePending}}
	if e.current != nil {
		out[currentVersion] = []string{stageCurrent}
	}
	return out
}

// get is GetSecretValue.
func (e *entry) get(version, stage string) (any, error) {
	if version == "" && stage == "" {
		stage = stageCurrent
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	pending := e.pending
	if e.put != nil {
		pending = e.put
	}
	switch {
	case (version == "" || version == e.token) && (stage == "" || stage == stagePending):
		if pending != nil {
			return value(e.arn, e.name, e.token, []string{stagePending}, *pending), nil
		}
	case (version == "" || version == currentVersion) && (stage == "" || stage == stageCurrent):
		if e.current != nil {
			return value(e.arn, e.name, currentVersion, []string{stageCurrent}, *e.current), nil
		}
	case version == e.token || version == currentVersion:
		return nil, &apiError{"InvalidRequestException", fmt.Sprintf("You can't perform this operation on secret version %s because it doesn't have the staging label %s.", version, stage)}
	}
	what := "staging label: " + stage
	if version != "" {
		what = "VersionId: " + version
	}
	return nil, errNotFound("Secrets Manager can't find the specified secret value for " + what)
}

func value(arn, name, version string, stages []string, c rota.Credential) any {
	text, _ := json.Marshal(c.Fields()) // a map of texts
	return map[string]any{
		"ARN": arn, "Name": name, "VersionId": version, "VersionStages": stages,
		"SecretString": string(text), "CreatedDate": time.Now().Unix(),
	}
}

// putValue is PutSecretValue, which is for the new credential alone.
func (e *entry) putValue(token string, text *string, stages []string) (any, error) {
	switch {
	case token != e.token:
		return nil, errInvalid("A rotation function puts the value of the version that it was given as ClientRequestToken.")
	case text != nil && len(*text) > maxValue:
		return nil, errInvalid(fmt.Sprintf("SecretString must have at most %d bytes.", maxValue))
	case text == nil:
		return nil, errInvalid("You must provide SecretString: a JSON object.")
	case !slices.Equal(stages, []string{stagePending}):
		return nil, errInvalid("A rotation function puts its value under the staging label AWSPENDING.")
	}
	c, err := parseValue(*text)
	if err != nil {
		return nil, errInvalid(err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending != nil && !e.pending.Equal(c) || e.put != nil && !e.put.Equal(c) {
		return nil, &apiError{"ResourceExistsException", "The version has another value already."}
	}
	e.put = &c
	return map[string]any{"ARN": e.arn, "Name": e.name, "VersionId": token, "VersionStages": stages}, nil
}

// parseValue reads a function's value: a JSON object of texts, numbers and booleans.
func parseValue(text string) (rota.Credential, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil || object == nil {
		return rota.Credential{}, fmt.Errorf("The value isn't a JSON object.") //nolint:staticcheck // in AWS's style
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return rota.Credential{}, fmt.Errorf("The value has something after its JSON object.") //nolint:staticcheck // in AWS's style
	}
	fields := map[string]string{}
	for name, v := range object {
		switch v := v.(type) {
		case nil:
		case string:
			fields[name] = v
		case json.Number, bool:
			fields[name] = fmt.Sprint(v)
		default:
			return rota.Credential{}, fmt.Errorf("The field %q isn't a text or a number.", name) //nolint:staticcheck // in AWS's style
		}
	}
	return rota.NewCredential(fields), nil
}
