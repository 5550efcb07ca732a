package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/rotation"
)

// Tags of a secret whose access key is delivered to GitLab.
const (
	projectTag  = "rota:gitlab-project"  // whose variables get the key
	pipelineTag = "rota:gitlab-pipeline" // the deployment: "version:pipeline:begun", the last in Unix seconds
)

// gitlabSettings are an instance, and the variables for an access key.
type gitlabSettings struct {
	url         string // GITLAB_URL
	tokenSecret string // GITLAB_TOKEN_SECRET: the Secrets Manager secret with the field token
	ref         string // GITLAB_REF
	id, secret  string // GITLAB_ACCESS_KEY_VARIABLE, GITLAB_SECRET_KEY_VARIABLE
}

func readGitLab(get func(string) string) gitlabSettings {
	return gitlabSettings{
		url: get("GITLAB_URL"), tokenSecret: get("GITLAB_TOKEN_SECRET"), ref: get("GITLAB_REF"),
		id:     cmp.Or(get("GITLAB_ACCESS_KEY_VARIABLE"), "AWS_ACCESS_KEY_ID"),
		secret: cmp.Or(get("GITLAB_SECRET_KEY_VARIABLE"), "AWS_SECRET_ACCESS_KEY"),
	}
}

// serviceAccount rotates the access key of a user that a GitLab project deploys
// with, as far as one invocation can, and never waits for a pipeline: the next
// event goes on. With after_days, a key begins to be replaced at that age; without,
// as soon as the previous rotation is over.
func (inv *invocation) serviceAccount(ctx context.Context, e serviceAccountEvent) (any, error) {
	s, err := inv.secretOfUser(ctx, e.Username, cmp.Or(e.Secret, e.Username), inv.settings.deployPolicy(e.AfterDays))
	if err != nil {
		return nil, err
	}
	if inv.wired != nil && inv.wired.ByName[s.Name] == s {
		return nil, &configError{rota.WithRemedies(fmt.Errorf("secret %s is in the configuration, with targets and reloaders of its own", s.Name), rota.Outside(`{"action": "run"}`))}
	}
	deployed, err := inv.deliverToGitLab(ctx, s, string(e.Project))
	if err != nil {
		return nil, err
	}
	if err := inv.claim.record(ctx, s.Store); err != nil {
		return nil, err
	}
	rotator := inv.rotator()
	state, _, err := rotator.Observe(ctx, s)
	if err != nil {
		return nil, err
	}
	if inv.settings.adopt && state.Adoptable() {
		if _, err := rotator.Adopt(ctx, s, rotation.AdoptOptions{}); err != nil {
			return nil, err
		}
	}
	options := rotation.Options{Chain: rotation.Lifecycle, Patience: patience}
	if _, repeated := rota.FindID(state.Contents.Versions, inv.version()); e.AfterDays == nil && !repeated && !underWay(state) {
		options.Force = rota.StepCreate
	}
	result, err := rotator.Advance(ctx, s, options)
	inv.metrics.result(result, inv.Now())
	if err != nil {
		return nil, err
	}
	if failed := deployed.failed; failed != nil {
		return nil, rota.WithRemedies(&heldError{s.Name, rotation.Decision{Reason: failed.Error()}}, rota.RemediesOf(failed))
	}
	done := result.Done
	after, _, err := rotator.Observe(ctx, s)
	if err != nil {
		return nil, err
	}
	if elsewhere, err := deployed.elsewhere(ctx, after); err != nil {
		return nil, err
	} else if elsewhere {
		again, err := rotator.Redeliver(ctx, s)
		if err != nil {
			return nil, err
		}
		done = append(done, again.Done...)
	}
	out := output{Secret: s.Name, Version: result.Status.Version, Done: stepOutputs(done), Complete: !underWay(after)}
	if !out.Complete {
		out.Reason = result.Last.Reason
	}
	return out, nil
}

// underWay reports whether a rotation isn't over: a version is pending, or the
// previous version's key still exists.
func underWay(state rotation.State) bool {
	if _, pending := rota.Find(state.Contents.Versions, rota.LabelPending); pending {
		return true
	}
	previous, ok := rota.Find(state.Contents.Versions, rota.LabelPrevious)
	if !ok {
		return false
	}
	for _, issued := range state.Issued {
		if issued.ID == previous.CredentialID {
			return true
		}
	}
	return false
}

// deployPolicy is the policy of a key that a pipeline deploys: the previous one is
// deactivated once it's deployed and nobody has used the old one for a while, and
// deleted a week later.
func (s settings) deployPolicy(afterDays *int) rotation.Policy {
	p := rotation.Policy{DeletePreviousAfter: 7 * rota.Day, UnusedFor: s.unusedFor}
	if afterDays != nil {
		p.RotateEvery = time.Duration(*afterDays) * rota.Day
	}
	return p
}

// deliverToGitLab gives a secret the project's variables as its target and the
// project's pipeline as its reloader.
func (inv *invocation) deliverToGitLab(ctx context.Context, s *rotation.Secret, project string) (*deployment, error) {
	own := inv.settings.gitlab
	if own.tokenSecret == "" {
		return nil, &configError{rota.WithRemedies(errors.New("there is no access token for GitLab"), rota.Outside("GITLAB_TOKEN_SECRET with the name of the secret in Secrets Manager whose field token has it"))}
	}
	store, ok := s.Store.(aws.Tagger)
	if !ok {
		return nil, &configError{fmt.Errorf("the store of secret %s has no tags", s.Name)}
	}
	if err := bindProject(ctx, s.Name, store, project); err != nil {
		return nil, err
	}
	entry, err := inv.aws.Entry(ctx, own.tokenSecret)
	if err != nil {
		return nil, fmt.Errorf("GITLAB_TOKEN_SECRET: %w", err)
	}
	token := entry.Values.Field(gitlab.FieldToken)
	if token == "" {
		return nil, &configError{rota.WithRemedies(fmt.Errorf("secret %s, which GITLAB_TOKEN_SECRET names, has no field token", entry.Name), rota.Outside(`{"token": …}, with an access token of scope api`))}
	}
	connection, err := gitlab.New("gitlab", gitlab.Config{URL: own.url, Token: token, Now: inv.Now})
	if err != nil {
		return nil, &configError{err}
	}
	fields, err := rota.ParseFieldMap(map[string]string{own.id: rota.FieldAccessKeyID, own.secret: rota.FieldSecretAccessKey}, nil)
	if err != nil {
		return nil, &configError{fmt.Errorf("GITLAB_ACCESS_KEY_VARIABLE and GITLAB_SECRET_KEY_VARIABLE: %w", err)}
	}
	ref := own.ref
	if ref == "" {
		if ref, err = connection.DefaultBranch(ctx, project); err != nil {
			return nil, err
		}
	}
	d := &deployment{Pipeline: gitlab.Pipeline{Reloader: "pipeline", Connection: connection, Project: project, Ref: ref}, tags: store, now: inv.Now}
	s.Targets = []rota.Target{&gitlab.Variables{
		Target: "variables", Connection: connection, Place: gitlab.Place{Level: gitlab.LevelProject, ID: project}, Fields: fields,
		NoWait: true, // the deployment waits for earlier pipelines
	}}
	s.Reloaders = []rota.Reloader{d}
	return d, nil
}

// bindProject lets a secret's key go to one project only: the first that an event
// names. Otherwise whoever may send events could have any user's key written to a
// project of theirs.
func bindProject(ctx context.Context, secret string, store aws.Tagger, project string) error {
	tags, err := store.Tags(ctx)
	switch bound := tags[projectTag]; {
	case err != nil:
		return err
	case bound == project:
		return nil
	case bound != "":
		return held(secret, rota.Outside(fmt.Sprintf("the tag %s = %s on the secret, if its key is for that project now", projectTag, project)),
			"secret %s is for the GitLab project %s, according to its tag %s, and not for %s", secret, bound, projectTag, project)
	}
	return store.SetTag(ctx, projectTag, project)
}

// deployment is a reloader whose pipeline goes on while no invocation runs. Until it
// has succeeded, the project counts as holding the previous key.
type deployment struct {
	gitlab.Pipeline
	tags   aws.Tagger
	now    func() time.Time
	failed error // why the pipeline hasn't deployed and won't
}

// begun is a deployment that a tag records.
type begun struct {
	version  string
	pipeline int64
	at       time.Time
}

// Reload implements [rota.Reloader]: it begins the deployment.
func (d *deployment) Reload(ctx context.Context, r rota.ReloadRequest) error {
	last, err := d.last(ctx)
	if err != nil || last.version == r.Version {
		return err
	}
	at := d.now()
	pipeline, err := d.Begin(ctx, r.Version)
	if err != nil {
		return err
	}
	return d.tags.SetTag(ctx, pipelineTag, fmt.Sprintf("%s:%d:%d", r.Version, pipeline, at.Unix()))
}

// last is the deployment that the tag records.
func (d *deployment) last(ctx context.Context) (begun, error) {
	tags, err := d.tags.Tags(ctx)
	text := tags[pipelineTag]
	if err != nil || text == "" {
		return begun{}, err
	}
	parts := strings.Split(text, ":")
	if len(parts) == 3 {
		pipeline, errPipeline := strconv.ParseInt(parts[1], 10, 64)
		at, errAt := strconv.ParseInt(parts[2], 10, 64)
		if errPipeline == nil && errAt == nil {
			return begun{parts[0], pipeline, time.Unix(at, 0)}, nil
		}
	}
	return begun{}, &rota.Error{Op: "read the tag " + pipelineTag, Class: rota.ClassStop, Err: errors.New("it is malformed"), Remedies: rota.Outside("remove the tag; the next event deploys again")}
}

// elsewhere reports whether the current key never got to the project: it was adopted,
// or made for another event.
func (d *deployment) elsewhere(ctx context.Context, state rotation.State) (bool, error) {
	current, ok := rota.Find(state.Contents.Versions, rota.LabelCurrent)
	if _, pending := rota.Find(state.Contents.Versions, rota.LabelPending); !ok || pending {
		return false, nil
	}
	last, err := d.last(ctx)
	return last.version != current.ID, err
}

// Holders implements [rota.HolderReporter].
func (d *deployment) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	last, err := d.last(ctx)
	if err != nil {
		return nil, err
	}
	if last.version != r.Version {
		return []rota.Holder{{Name: fmt.Sprintf("project %s, where the current key isn't deployed yet", d.Project)}}, nil
	}
	done, err := d.Deployed(ctx, last.pipeline)
	if err != nil && rota.ClassOf(err) == rota.ClassWait && len(rota.RemediesOf(err)) == 0 {
		return nil, err
	}
	if err != nil {
		d.failed = err
		return []rota.Holder{{Name: "project " + d.Project + ": " + rota.OneLine(err.Error()), Remedies: rota.RemediesOf(err)}}, nil
	}
	if !done {
		return []rota.Holder{{Name: fmt.Sprintf("project %s, whose pipeline %d isn't done yet", d.Project, last.pipeline)}}, nil
	}
	r.Since = last.at
	return d.Pipeline.Holders(ctx, r)
}
