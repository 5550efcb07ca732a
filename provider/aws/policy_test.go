package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// grants are the policy's single permissions, sorted.
func grants(policies ...Policy) []string {
	var all []string
	for _, p := range policies {
		for _, s := range p.Statement {
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					all = append(all, fmt.Sprint(action, " ", resource, " ", s.Condition))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

func drawNeeds(t *rapid.T) []Permission {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Permission {
		p := Permission{
			ID:       rapid.SampledFrom([]string{"Keep", "Rotate"}).Draw(t, "id"),
			Action:   rapid.SampledFrom([]string{"iam:GetUser", "sns:Publish", "s3:ListBucket"}).Draw(t, "action"),
			Resource: fmt.Sprintf("arn:aws:iam::111122223333:user/%d", rapid.IntRange(0, 30).Draw(t, "user")),
		}
		if rapid.Bool().Draw(t, "conditional") {
			p.Condition = map[string]map[string][]string{"StringEquals": {"s3:prefix": {"a/"}}}
		}
		return p
	}), 1, 60).Draw(t, "needs")
}

func TestPolicyAllowsWhatIsNeededAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		needs := drawNeeds(t)
		var want []string
		for _, n := range needs {
			want = append(want, fmt.Sprint(n.Action, " ", n.Resource, " ", n.Condition))
		}
		slices.Sort(want)
		p := NewPolicy(needs, rapid.Bool().Draw(t, "ids"))
		if diff := cmp.Diff(slices.Compact(want), grants(p)); diff != "" {
			t.Fatal(diff)
		}
		limit := rapid.IntRange(400, 2000).Draw(t, "limit")
		parts, err := p.Split(limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(grants(p), grants(parts...)); diff != "" {
			t.Fatal(diff)
		}
		for _, part := range parts {
			if size, err := part.Size(); err != nil || size > limit {
				t.Fatalf("a part has %d of %d characters: %v", size, limit, err)
			}
		}
	})
}

func TestStatementThatIsTooLargeAloneCannotBeSplit(t *testing.T) {
	p := NewPolicy([]Permission{{Action: "sns:Publish", Resource: strings.Repeat("x", 500)}}, false)
	if _, err := p.Split(400); err == nil {
		t.Error("it was split")
	}
}

func TestStatementIDsAreUnique(t *testing.T) {
	p := NewPolicy([]Permission{{ID: "Keep", Action: "a:A", Resource: "1"}, {ID: "Keep", Action: "a:B", Resource: "2"}, {ID: "Use", Action: "a:C", Resource: "3"}}, true)
	var ids []string
	for _, s := range p.Statement {
		ids = append(ids, s.Sid)
	}
	if diff := cmp.Diff([]string{"Keep", "Keep2", "Use"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceOfARegion(t *testing.T) {
	for region, want := range map[string]string{
		"eu-central-1":   "arn:aws:kms:eu-central-1:111122223333:key/1",
		"cn-north-1":     "arn:aws-cn:kms:cn-north-1:111122223333:key/1",
		"us-gov-west-1":  "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1",
		"us-iso-east-1":  "arn:aws-iso:kms:us-iso-east-1:111122223333:key/1",
		"us-isob-east-1": "arn:aws-iso-b:kms:us-isob-east-1:111122223333:key/1",
		"eu-isoe-west-1": "arn:aws-iso-e:kms:eu-isoe-west-1:111122223333:key/1",
		"us-isof-east-1": "arn:aws-iso-f:kms:us-isof-east-1:111122223333:key/1",
		"xx-new-7":       "arn:aws:kms:xx-new-7:111122223333:key/1",
		"eusc-de-east-1": "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/1",
	} {
		if got := PlaceOf(region, "111122223333").arn("kms", "key/1"); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestPathOfAUserIsAskedFor(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		user := "ci-" + uuid.NewString()[:8]
		must(t)(e.admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &user, Path: new("/ci/")}))
		at, err := e.Place(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k := e.AccessKeys(AccessKeysConfig{User: user}).(PermissionHolder)
		if got, want := k.Permissions(t.Context(), at)[0].Resource, "arn:aws:iam::"+at.Account+":user/ci/"+user; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		at.Ask = false
		if got, want := k.Permissions(t.Context(), at)[0].Resource, "arn:aws:iam::"+at.Account+":user/"+user; got != want {
			t.Errorf("not asked: %s, want %s", got, want)
		}
	})
}

func TestPlacesOfAFunction(t *testing.T) {
	at := PlaceOf(region, "111122223333")
	for _, c := range []struct{ config, action, resource string }{
		{"s3://bucket/a/rota.yaml", "s3:GetObject", "arn:aws:s3:::bucket/a/rota.yaml"},
		{"ssm:///rota/config", "ssm:GetParameter", "arn:aws:ssm:eu-central-1:111122223333:parameter/rota/config"},
		{"ssm://config", "ssm:GetParameter", "arn:aws:ssm:eu-central-1:111122223333:parameter/config"},
	} {
		t.Run(c.config, func(t *testing.T) {
			needs, err := Function{Config: c.config}.Permissions(at)
			if err != nil || len(needs) != 1 || needs[0].Action != c.action || needs[0].Resource != c.resource {
				t.Errorf("%+v, %v", needs, err)
			}
		})
	}
	for _, packed := range []string{"", "rota.yaml", "/var/task/rota.yaml"} {
		if needs, err := (Function{Config: packed}).Permissions(at); err != nil || len(needs) > 0 {
			t.Errorf("%q: %+v, %v", packed, needs, err)
		}
	}
	for _, bad := range []string{"s3://bucket", "ssm://", "https://example.com/rota.yaml"} {
		if needs, err := (Function{Config: bad}).Permissions(at); err == nil {
			t.Errorf("%s: %+v", bad, needs)
		}
	}
}

func TestMastersOfAFunction(t *testing.T) {
	at := PlaceOf(region, "111122223333")
	const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db/master-AbC123"
	for id, resource := range map[string]string{arn: arn, "db/master": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db/master-??????"} {
		needs, err := Function{Masters: []string{id}}.Permissions(at)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range needs {
			got = append(got, n.Action+" "+n.Resource)
		}
		want := []string{"secretsmanager:DescribeSecret " + resource, "secretsmanager:GetSecretValue " + resource}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, id := range []string{"rds!db-0123", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!cluster-0123-AbC123"} {
		needs, err := Function{Masters: []string{id}}.Permissions(at)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range needs[2:] {
			got = append(got, n.Action+" "+n.Resource)
		}
		if diff := cmp.Diff([]string{"rds:DescribeDBInstances arn:aws:rds:eu-central-1:111122223333:db:*", "rds:DescribeDBClusters arn:aws:rds:eu-central-1:111122223333:cluster:*"}, got); diff != "" {
			t.Error(diff)
		}
	}
	if needs, err := (Function{Masters: []string{"arn:aws:sqs:eu-west-1:1:x"}}).Permissions(at); err == nil {
		t.Errorf("a queue: %+v", needs)
	}
}

func TestKeysOfParameters(t *testing.T) {
	at := PlaceOf(region, "111122223333")
	for _, c := range []struct{ name, kind, tier, want string }{
		{"a standard one", "SecureString", "", "kms:Decrypt kms:Encrypt"},
		{"an advanced one", "SecureString", "Advanced", "kms:Decrypt kms:GenerateDataKey"},
		{"one or the other", "SecureString", "Intelligent-Tiering", "kms:Decrypt kms:Encrypt kms:GenerateDataKey"},
		{"in the clear", "String", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &parameter{cfg: ParameterConfig{Name: "/x", KeyID: "alias/app", Type: c.kind, Tier: c.tier}}
			var got []string
			for _, need := range p.Permissions(t.Context(), at) {
				if !strings.HasPrefix(need.Action, "kms:") {
					continue
				}
				got = append(got, need.Action)
				if via := need.Condition["StringEquals"]["kms:ViaService"]; !slices.Equal(via, []string{"ssm.eu-central-1.amazonaws.com"}) {
					t.Errorf("%s via %v", need.Action, via)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestKeysOfSecrets(t *testing.T) {
	at := PlaceOf(region, "111122223333")
	for _, c := range []struct{ name, key, resource, alias string }{
		{"an id", "1234-ab", "arn:aws:kms:eu-central-1:111122223333:key/1234-ab", ""},
		{"an ARN", "arn:aws:kms:eu-central-1:444455556666:key/1", "arn:aws:kms:eu-central-1:444455556666:key/1", ""},
		{"an alias", "alias/rota", "arn:aws:kms:eu-central-1:111122223333:key/*", "alias/rota"},
		{"an alias's ARN", "arn:aws:kms:eu-central-1:111122223333:alias/rota", "arn:aws:kms:eu-central-1:111122223333:key/*", "alias/rota"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &secretStore{cfg: SecretsManagerConfig{Name: "x", KMSKeyID: c.key}}
			need := s.needsOfKey(at)[0]
			var alias string
			if found := need.Condition["ForAnyValue:StringEquals"]["kms:ResourceAliases"]; len(found) > 0 {
				alias = found[0]
			}
			if need.Resource != c.resource || alias != c.alias {
				t.Errorf("%s, alias %q", need.Resource, alias)
			}
		})
	}
}
