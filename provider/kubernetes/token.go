package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The fields of a token's credential.
const (
	FieldToken = "token"
	// FieldTokenID names the Secret that the token is bound to, and its uid.
	FieldTokenID = "token_id"
)

// What Rota writes onto the Secrets that tokens are bound to.
const (
	labelToken        = "rota.dev/service-account-token" //nolint:gosec // a label's name
	annotationExpires = "rota.dev/expires"
)

// tokenSlots is how many tokens a service account can have from Rota. Each is bound to
// a Secret with a name of its own, so that RBAC can name them: whoever may list Secrets
// can read all of a namespace's.
const tokenSlots = 4

// defaultExpiresAfter is how long a token is asked for. Many clusters allow less.
const defaultExpiresAfter = 30 * rota.Day

// Tokens issues tokens of a service account (TokenRequest). A token can't be revoked, but
// it ends with the object that it's bound to; so each is bound to an empty Secret, and
// deleting that revokes it.
type Tokens struct {
	Connection     *Connection
	Namespace      string
	ServiceAccount string
	// Audiences are who the token is for. Defaults to the API server.
	Audiences []string
	// ExpiresAfter is how long a token is asked for; the API server may decide otherwise.
	// Defaults to 30 days.
	ExpiresAfter time.Duration
}

var (
	_ rota.Issuer        = (*Tokens)(nil)
	_ rota.Lister        = (*Tokens)(nil)
	_ rota.Preflighter   = (*Tokens)(nil)
	_ provider.Permitter = (*Tokens)(nil)
)

func tokenTraits(expiresAfter time.Duration) rota.Traits {
	if expiresAfter == 0 {
		expiresAfter = defaultExpiresAfter
	}
	// The API server keeps for 10 seconds what it found out about a token.
	return rota.Traits{Kind: "Kubernetes service account token", IssuerChooses: true, Limit: tokenSlots, TestSuccesses: 2, EndsAfter: expiresAfter}
}

// Traits implements [rota.Issuer].
func (t *Tokens) Traits() rota.Traits { return tokenTraits(t.ExpiresAfter) }

// CredentialID implements [rota.Issuer].
func (t *Tokens) CredentialID(c rota.Credential) string { return c.Field(FieldTokenID) }

func (t *Tokens) account() string { return "service account " + t.Namespace + "/" + t.ServiceAccount }

// slots are the names of the Secrets.
func (t *Tokens) slots() []string {
	var names []string
	for i := range tokenSlots {
		names = append(names, fmt.Sprintf("rota-token-%s-%d", t.ServiceAccount, i+1))
	}
	return names
}

// binding is a Secret that a token is bound to, and what it's called as a credential.
type binding struct {
	secret
	id string
}

// bindings are those there are, Rota's and what others have put in their place.
func (t *Tokens) bindings(ctx context.Context) ([]binding, error) {
	var found []binding
	for _, name := range t.slots() {
		s, exists, err := t.Connection.readSecret(ctx, t.Namespace, name)
		if err != nil {
			return nil, err
		}
		if exists {
			found = append(found, binding{s, name + "/" + s.Metadata.UID})
		}
	}
	return found, nil
}

// Create implements [rota.Issuer]: first the Secret, which says what for, then the token.
// Whatever the answers were, the Secret shows what came of it.
func (t *Tokens) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	there, err := t.bindings(ctx)
	if err != nil {
		return rota.Credential{}, err
	}
	free := slices.DeleteFunc(t.slots(), func(name string) bool {
		return slices.ContainsFunc(there, func(b binding) bool { return b.Metadata.Name == name })
	})
	op := "create a token of " + t.account()
	if len(free) == 0 {
		return rota.Credential{}, &rota.Error{System: t.Connection.System(), Connection: t.Connection.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("all of its Secrets exist (%s): %w", strings.Join(t.slots(), ", "), rota.ErrLimit),
			Remedies: rota.Outside("delete the one whose token nobody uses: kubectl get secrets -n " + t.Namespace + " -l " + labelToken)}
	}
	expires := t.Connection.now().Add(t.Traits().EndsAfter)
	b, err := t.bind(ctx, free[0], r.Version, expires, false)
	if err != nil {
		return rota.Credential{}, err
	}
	made, err := t.request(ctx, op, map[string]any{"apiVersion": "v1", "kind": "Secret", "name": b.Metadata.Name, "uid": b.Metadata.UID}, false)
	if err != nil {
		return rota.Credential{}, err
	}
	if made.Status.Token == "" || made.Status.Expires.IsZero() {
		return rota.Credential{}, t.Connection.unreadable(&rota.Error{System: t.Connection.System(), Connection: t.Connection.name, Op: op})
	}
	if diff := made.Status.Expires.Sub(expires); diff.Abs() > time.Minute {
		if err := t.note(ctx, b, made.Status.Expires); err != nil {
			return rota.Credential{}, err
		}
	}
	return rota.NewCredential(map[string]string{FieldToken: made.Status.Token, FieldTokenID: b.id}), nil
}

// bind makes the Secret that a token is bound to.
func (t *Tokens) bind(ctx context.Context, name, version string, expires time.Time, dry bool) (binding, error) {
	q := request{op: "create Secret " + t.Namespace + "/" + name, kind: "Secret", method: http.MethodPost, path: pathOf("", t.Namespace, "secrets", ""), need: t.createNeed(), query: url.Values{"fieldManager": {manager}},
		body: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": TypeOpaque, "metadata": map[string]any{
			"name": name, "labels": map[string]string{labelToken: "true"},
			"annotations": map[string]string{annotationVersion: version, annotationExpires: expires.UTC().Format(time.RFC3339)}}}}
	if dry {
		q.op, q.query = "try to "+q.op, url.Values{"dryRun": {"All"}}
	}
	var s secret
	err := t.Connection.do(ctx, q, &s)
	return binding{s, name + "/" + s.Metadata.UID}, err
}

// note writes when the token really ends.
func (t *Tokens) note(ctx context.Context, b binding, expires time.Time) error {
	q := request{op: "note when a token ends in Secret " + t.Namespace + "/" + b.Metadata.Name, kind: "Secret", method: http.MethodPatch, form: mergePatch, query: url.Values{"fieldManager": {manager}},
		need: t.slotNeed(b.Metadata.Name), path: pathOf("", t.Namespace, "secrets", b.Metadata.Name),
		body: map[string]any{"metadata": map[string]any{"uid": b.Metadata.UID, "annotations": map[string]string{annotationExpires: expires.UTC().Format(time.RFC3339)}}}}
	return t.Connection.do(ctx, q, &secret{})
}

// tokenRequest is one as the API server answers it.
type tokenRequest struct {
	Status struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expirationTimestamp"`
	} `json:"status"`
}

func (t *Tokens) request(ctx context.Context, op string, bound any, dry bool) (made tokenRequest, err error) {
	spec := map[string]any{"expirationSeconds": int64(t.Traits().EndsAfter / time.Second)}
	if len(t.Audiences) > 0 {
		spec["audiences"] = t.Audiences
	}
	if bound != nil {
		spec["boundObjectRef"] = bound
	}
	q := request{op: op, kind: "TokenRequest", method: http.MethodPost, path: pathOf("", t.Namespace, "serviceaccounts", t.ServiceAccount) + "/token", need: t.tokenNeed(),
		body: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}}
	if dry {
		q.query = url.Values{"dryRun": {"All"}}
	}
	err = t.Connection.do(ctx, q, &made)
	return made, err
}

// Set implements [rota.Issuer]: a token is valid once it's made.
func (t *Tokens) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]: it asks the API server whose token it is. With audiences
// of its own, a token can't log in there.
func (t *Tokens) Test(ctx context.Context, r rota.TestRequest) error {
	token := r.Credential.Only(FieldToken)
	op := "review a token of " + t.account()
	if token.IsZero() || t.CredentialID(r.Credential) == "" {
		return t.Connection.refuse(op, rota.Outside("give the fields "+FieldToken+" and "+FieldTokenID), errors.New("the credential isn't a token of Rota's"))
	}
	review, err := t.review(ctx, op, token)
	if err != nil {
		return rota.Sanitize(err, token)
	}
	want := "system:serviceaccount:" + t.Namespace + ":" + t.ServiceAccount
	switch {
	case !review.Status.Authenticated:
		return &rota.Error{System: t.Connection.System(), Connection: t.Connection.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("the API server doesn't accept it: %w", rota.ErrRefused),
			Remedies: rota.Outside("rotate it: it has expired, or its Secret or its service account was deleted")}
	case review.Status.User.Name != want:
		return t.Connection.refuse(op, rota.Configure("service_account", "the one that the store's credential is for"), fmt.Errorf("it's one of %s: %w", provider.Said(review.Status.User.Name), rota.ErrRefused))
	}
	return nil
}

type tokenReview struct {
	Status struct {
		Authenticated bool `json:"authenticated"`
		User          struct {
			Name string `json:"username"`
		} `json:"user"`
	} `json:"status"`
}

func (t *Tokens) review(ctx context.Context, op string, token rota.Credential) (review tokenReview, err error) {
	spec := map[string]any{"token": token.Field(FieldToken)}
	if len(t.Audiences) > 0 {
		spec["audiences"] = t.Audiences
	}
	err = t.Connection.do(ctx, request{op: op, kind: "TokenReview", method: http.MethodPost, path: "/apis/authentication.k8s.io/v1/tokenreviews", need: reviewNeed, used: token,
		body: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}}, &review)
	return review, err
}

// Delete implements [rota.Issuer]: without its Secret, a token is worth nothing.
func (t *Tokens) Delete(ctx context.Context, r rota.RetireRequest) error {
	name, uid, _ := strings.Cut(r.CredentialID, "/")
	op := "delete Secret " + t.Namespace + "/" + name
	if !slices.Contains(t.slots(), name) || uid == "" {
		return t.Connection.refuse(op, rota.Outside("give an id from the list of the secret's versions"), fmt.Errorf("%q isn't a token of Rota's", r.CredentialID))
	}
	s, exists, err := t.Connection.readSecret(ctx, t.Namespace, name)
	if err != nil || !exists || s.Metadata.UID != uid {
		return err // gone already, or the Secret of another token
	}
	if s.Metadata.Labels[labelToken] != "true" {
		return t.Connection.refuse(op, rota.Outside("delete it yourself, or label it "+labelToken+"=true again"), errors.New("it isn't labeled as Rota's"))
	}
	q := request{op: op, method: http.MethodDelete, path: pathOf("", t.Namespace, "secrets", name), need: t.slotNeed(name),
		body: map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": map[string]any{"uid": uid}}}
	var answer []byte
	err = t.Connection.do(ctx, q, &answer)
	if errors.Is(err, rota.ErrNotFound) {
		return nil
	}
	return err
}

// List implements [rota.Lister].
func (t *Tokens) List(ctx context.Context) ([]rota.Issued, error) {
	there, err := t.bindings(ctx)
	if err != nil {
		return nil, err
	}
	var all []rota.Issued
	for _, b := range there {
		if b.Metadata.Labels[labelToken] != "true" {
			continue
		}
		expires, err := time.Parse(time.RFC3339, b.Metadata.Annotations[annotationExpires])
		if err != nil { // somebody changed it: it ended when it would have at the latest
			expires = b.Metadata.CreationTimestamp.Add(t.Traits().EndsAfter)
		}
		all = append(all, rota.Issued{ID: b.id, Active: b.Metadata.DeletionTimestamp == nil, CreatedAt: b.Metadata.CreationTimestamp, ExpiresAt: expires, Mark: b.Metadata.Annotations[annotationVersion]})
	}
	return all, nil
}
