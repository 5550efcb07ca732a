package awstest_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestPublishedMessagesAreKeptAndDelivered(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	root := asRoot(s)
	arn := *must[*sns.CreateTopicOutput](t)(root.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")})).TopicArn
	if again := s.CreateTopic("alerts"); again != arn || arn != "arn:aws:sns:eu-central-1:111122223333:alerts" {
		t.Errorf("topics %s and %s, want one", arn, again)
	}
	var delivered []awstest.Message
	if err := s.Subscribe(arn, func(m awstest.Message) { delivered = append(delivered, m) }); err != nil {
		t.Fatal(err)
	}
	out := must[*sns.PublishOutput](t)(root.sns.Publish(t.Context(), &sns.PublishInput{
		TopicArn: &arn, Subject: aws.String("a key is due"), Message: aws.String("prod/app & <more>"),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"severity": {DataType: aws.String("String"), StringValue: aws.String("high")},
			"blob":     {DataType: aws.String("Binary"), BinaryValue: []byte("hi")},
		},
	}))
	want := []awstest.Message{{
		ID: *out.MessageId, TopicARN: arn, Subject: "a key is due", Body: "prod/app & <more>",
		Attributes: map[string]string{"severity": "high", "blob": "aGk="}, Time: clock.Now(),
	}}
	if diff := cmp.Diff(want, s.Published(arn)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, delivered); diff != "" {
		t.Error(diff)
	}
	got := must[*sns.GetTopicAttributesOutput](t)(root.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: &arn})).Attributes
	if got["TopicArn"] != arn || got["SubscriptionsConfirmed"] != "1" {
		t.Errorf("attributes %v", got)
	}
	topics := must[*sns.ListTopicsOutput](t)(root.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})).Topics
	if diff := cmp.Diff([]snstypes.Topic{{TopicArn: &arn}}, topics, cmpopts.IgnoreUnexported(snstypes.Topic{})); diff != "" {
		t.Error(diff)
	}
}

func TestWhatSNSRefuses(t *testing.T) {
	s := start(t, awstest.Options{})
	root := asRoot(s)
	arn := s.CreateTopic("alerts")
	for _, test := range []struct {
		name               string
		arn, subject, body string
		want               string
	}{
		{"a topic that is not there", arn + "x", "s", "b", "NotFound"},
		{"a topic of another account", strings.Replace(arn, "1111", "9999", 1), "s", "b", "NotFound"},
		{"an ARN that is none", "alerts", "s", "b", "InvalidParameter"},
		{"an empty message", arn, "s", "", "InvalidParameter"},
		{"a message beyond 256 KiB", arn, "s", strings.Repeat("x", 256<<10+1), "InvalidParameter"},
		{"a subject beyond 100 characters", arn, strings.Repeat("x", 101), "b", "InvalidParameter"},
		{"a subject with a line break", arn, "a\nb", "b", "InvalidParameter"},
		{"nothing about a good message", arn, "s", "b", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := root.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: &test.arn, Subject: &test.subject, Message: &test.body})
			wantCode(t, err, test.want)
		})
	}
	if n := len(s.Published(arn)); n != 1 {
		t.Errorf("%d messages were published, want the good one", n)
	}
	_, err := root.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(arn + "x")})
	wantCode(t, err, "NotFound")
}
