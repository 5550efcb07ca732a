package awstest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxMessage  = 256 << 10 // bytes
	maxSubject  = 100       // characters
	topicsAPage = 100
)

// topic is an SNS topic.
type topic struct {
	name, arn   string
	attributes  map[string]string
	published   []Message
	subscribers []func(Message)
}

// Message is a message published to a topic.
type Message struct {
	ID         string
	TopicARN   string
	Subject    string
	Body       string            // the parameter Message
	Attributes map[string]string // string and number attributes as text; binary ones in base64
	Time       time.Time
}

func (s *Server) sns(x *exchange) (any, *apiError) {
	switch x.action {
	case "CreateTopic":
		return s.createTopic(x)
	case "DeleteTopic":
		t, _ := s.topic(x)
		if t != nil {
			s.topics.put(t.name, nil)
		}
		return nil, nil // deleting a topic that doesn't exist succeeds
	case "GetTopicAttributes":
		return s.getTopicAttributes(x)
	case "ListTopics":
		return s.listTopics(x)
	case "Publish":
		return s.publish(x)
	}
	return nil, unknownAction(x)
}

func (s *Server) topicARN(name string) string {
	return "arn:aws:sns:" + s.region + ":" + s.account + ":" + name
}

// topic returns the topic of a request, which must name it by its full ARN.
func (s *Server) topic(x *exchange) (*topic, *apiError) {
	arn := x.form.Get("TopicArn")
	if arn == "" {
		arn = x.form.Get("TargetArn")
	}
	if strings.Count(arn, ":") != 5 || !strings.HasPrefix(arn, "arn:aws:sns:") {
		return nil, fail(400, "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not "+strconv.Itoa(strings.Count(arn, ":")+1))
	}
	t := s.topics.get(afterLast(arn, ":"), x.stale && x.action == "GetTopicAttributes")
	if t == nil || t.arn != arn {
		return nil, fail(404, "NotFound", "Topic does not exist")
	}
	return t, nil
}

var topicName = regexp.MustCompile(`^([\w-]{1,256}|[\w-]{1,251}\.fifo)$`)

type topicResult struct {
	TopicARN string `xml:"TopicArn"`
}

func (s *Server) createTopic(x *exchange) (any, *apiError) {
	name := x.form.Get("Name")
	if !topicName.MatchString(name) {
		return nil, fail(400, "InvalidParameter", "Invalid parameter: Topic Name")
	}
	return topicResult{s.addTopic(name, entries(x, "Attributes")).arn}, nil
}

// addTopic makes a topic, or returns the existing one of that name.
func (s *Server) addTopic(name string, attributes map[string]string) *topic {
	t := s.topics.get(name, false)
	if t == nil {
		t = &topic{name: name, arn: s.topicARN(name), attributes: attributes}
		s.topics.put(name, t)
	}
	return t
}

// entries reads a query map: Prefix.entry.1.key, Prefix.entry.1.value, …
func entries(x *exchange, prefix string) map[string]string {
	found := map[string]string{}
	for i := 1; ; i++ {
		entry := prefix + ".entry." + strconv.Itoa(i)
		key := x.form.Get(entry + ".key")
		if key == "" {
			return found
		}
		found[key] = x.form.Get(entry + ".value")
	}
}

func (s *Server) getTopicAttributes(x *exchange) (any, *apiError) {
	t, e := s.topic(x)
	if e != nil {
		return nil, e
	}
	type entry struct {
		Key   string `xml:"key"`
		Value string `xml:"value"`
	}
	result := struct {
		Entries []entry `xml:"Attributes>entry"`
	}{Entries: []entry{
		{"TopicArn", t.arn}, {"Owner", s.account}, {"DisplayName", t.attributes["DisplayName"]},
		{"SubscriptionsConfirmed", strconv.Itoa(len(t.subscribers))},
		{"SubscriptionsPending", "0"}, {"SubscriptionsDeleted", "0"},
	}}
	for key, value := range t.attributes {
		if key != "DisplayName" {
			result.Entries = append(result.Entries, entry{key, value})
		}
	}
	return result, nil
}

func (s *Server) listTopics(x *exchange) (any, *apiError) {
	after, ok := position(x.form.Get("NextToken"))
	if !ok {
		return nil, fail(400, "InvalidParameter", "Invalid parameter: NextToken")
	}
	topics, next := s.topics.page(after, topicsAPage, x.stale, func(*topic) bool { return true })
	result := struct {
		Topics    []topicResult `xml:"Topics>member"`
		NextToken string        `xml:",omitempty"`
	}{NextToken: marker(next)}
	for _, t := range topics {
		result.Topics = append(result.Topics, topicResult{t.arn})
	}
	return result, nil
}

func (s *Server) publish(x *exchange) (any, *apiError) {
	t, e := s.topic(x)
	if e != nil {
		return nil, e
	}
	m := Message{
		TopicARN: t.arn, Subject: x.form.Get("Subject"), Body: x.form.Get("Message"),
		Attributes: map[string]string{}, Time: s.now(),
	}
	switch {
	case m.Body == "":
		return nil, fail(400, "InvalidParameter", "Invalid parameter: Empty message")
	case !utf8.ValidString(m.Body) || len(m.Body) > maxMessage:
		return nil, fail(400, "InvalidParameter", "Invalid parameter: Message too long")
	case x.form.Has("Subject") && !validSubject(m.Subject):
		return nil, fail(400, "InvalidParameter", "Invalid parameter: Subject")
	}
	for i := 1; ; i++ {
		entry := "MessageAttributes.entry." + strconv.Itoa(i)
		name := x.form.Get(entry + ".Name")
		if name == "" {
			break
		}
		value := x.form.Get(entry + ".Value.StringValue")
		if strings.HasPrefix(x.form.Get(entry+".Value.DataType"), "Binary") {
			value = x.form.Get(entry + ".Value.BinaryValue")
		}
		if value == "" {
			return nil, fail(400, "ParameterValueInvalid", "The message attribute '"+name+"' must contain non-empty message attribute value.")
		}
		m.Attributes[name] = value
	}
	m.ID = s.newUUID()
	// Publishing doesn't change the topic's own state, so the row stays.
	t.published = append(t.published, m)
	for _, deliver := range t.subscribers {
		x.then = append(x.then, func() { deliver(m) })
	}
	return struct {
		MessageID string `xml:"MessageId"`
	}{m.ID}, nil
}

// validSubject implements AWS's rule: up to 100 characters of ASCII text that
// starts with a letter, number or punctuation mark and has no control
// characters.
func validSubject(subject string) bool {
	return subject != "" && len(subject) <= maxSubject && subject[0] != ' ' &&
		!slices.ContainsFunc([]byte(subject), func(c byte) bool { return c < ' ' || c > '~' })
}
