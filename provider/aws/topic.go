package aws

import (
	"context"
	"strings"

	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	maxSubject = 100       // ASCII characters
	maxText    = 200 << 10 // SNS takes 256 KiB, attributes included
)

// topic publishes events to an SNS topic: a subject and plain text for people who
// get them by mail, and the event's fields as message attributes (kind, secret,
// version, credential, event_id) for filtering subscriptions and programs. It
// doesn't send JSON: that's what webhooks are for.
type topic struct {
	connection *Connection
	arn        string
}

var (
	_ rota.Notifier    = (*topic)(nil)
	_ rota.Preflighter = (*topic)(nil)
)

// IsTopic reports whether a text is the ARN of an SNS topic.
func IsTopic(arn string) bool {
	t, err := awsarn.Parse(arn)
	return err == nil && t.Service == "sns" && t.Region != "" && t.AccountID != "" && t.Resource != "" && !strings.Contains(t.Resource, ":")
}

// Topic is the notifier that publishes to an SNS topic, in the topic's region.
func (c *Connection) Topic(arn string) rota.Notifier { return &topic{connection: c, arn: arn} }

// Connection implements [PermissionHolder].
func (t *topic) Connection() *Connection { return t.connection }

// Permissions implements [PermissionHolder].
func (t *topic) Permissions(context.Context, Place) []Permission {
	return []Permission{
		{ID: "Notify", Action: "sns:Publish", Resource: t.arn, Why: "tells the topic what happened"},
		{ID: "Notify", Action: "sns:GetTopicAttributes", Resource: t.arn, For: ToCheck, Why: "sees that the topic exists"},
	}
}

// Name implements [rota.Notifier].
func (t *topic) Name() string { return "sns " + t.arn }

// Notify implements [rota.Notifier]. If an event is sent again within five
// minutes, a FIFO topic delivers it once, and any other topic twice.
func (t *topic) Notify(ctx context.Context, e rota.Event) error {
	subject, message := subjectOf(e), rota.Clip(e.Text(), maxText)
	in := &sns.PublishInput{TopicArn: &t.arn, Subject: &subject, Message: &message, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, value := range map[string]string{
		"kind": string(e.Kind), "secret": e.Secret, "version": e.Version, "credential": e.Credential, "event_id": e.ID,
	} {
		if value != "" { // SNS refuses empty ones
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: new("String"), StringValue: &value}
		}
	}
	if strings.HasSuffix(t.arn, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = new("rota"), &e.ID
	}
	_, err := t.connection.sns.Publish(ctx, in, t.inRegion)
	return t.connection.fail("publish to topic "+t.arn, err)
}

// Preflight implements [rota.Preflighter].
func (t *topic) Preflight(ctx context.Context) []rota.Finding {
	check := "topic " + t.arn
	me, err := t.connection.identity(ctx)
	if err != nil {
		return []rota.Finding{provider.Failed(check, t.connection.fail("get caller identity", err))}
	}
	var findings []rota.Finding
	_, err = t.connection.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &t.arn}, t.inRegion)
	switch {
	case isDenied(codeOf(err)): // publishing does without it
		findings = append(findings, rota.Finding{Warning: true, Check: check, Detail: "Rota may not look at it",
			Remedies: rota.Outside("allow sns:GetTopicAttributes to Rota for this check")})
	case err != nil:
		f := provider.Failed(check, t.connection.fail("look at topic "+t.arn, err))
		if rota.Hint(f.Remedies) == "" {
			f.Remedies = rota.Outside("the right topic_arn in rota.yaml, or: aws sns create-topic --name " + t.arn[strings.LastIndexByte(t.arn, ':')+1:])
		}
		return append(findings, f)
	default:
		findings = append(findings, rota.Finding{OK: true, Check: check, Detail: "exists"})
	}
	return append(findings, t.connection.permissions(ctx, me, t.Permissions(ctx, t.connection.placeOf(me)))...)
}

// inRegion sends the call to the topic's own region.
func (t *topic) inRegion(o *sns.Options) {
	if topic, err := awsarn.Parse(t.arn); err == nil && topic.Region != "" {
		o.Region = topic.Region
	}
}

// subjectOf returns a subject that SNS accepts: at most 100 printable ASCII
// characters.
func subjectOf(e rota.Event) string {
	subject := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, e.Title())
	if len(subject) > maxSubject {
		subject = subject[:maxSubject-3] + "..."
	}
	return subject
}
