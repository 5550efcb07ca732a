package check

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/rota-dev/rota/internal/testenv"
)

const inCluster = `connections:
  here: {kubernetes: {in_cluster: true}}
  db: {postgres: {host: db.internal, database: orders, username: rota, password: "${env:DB_PASSWORD}"}}
secrets:
  - name: shop/orders-db
    issuer: {connection: db, alternating: {roles: [orders_a, orders_b], group: orders}}
    targets:
      - {name: shop, kubernetes_secret: {connection: here, namespace: NAMESPACE, secret: orders-db, type: kubernetes.io/basic-auth}}
    reload:
      - {name: shop, kubernetes_restart: {connection: here, namespace: NAMESPACE, workloads: [statefulset/reporter]}}
    policy: {rotate_every: 30d}
`

// The chart's service account may do what rota policy kubernetes prints, and nothing
// else: the API server itself lists what it may do.
func TestTheServiceAccountMayDoWhatThePolicySaysAndNothingElse(t *testing.T) {
	s := cluster.Get(t)
	namespace, shop := restricted(t, s), s.Namespace(t)
	node(t, s, namespace)
	file := filepath.Join(t.TempDir(), "rota.yaml")
	text := strings.ReplaceAll(inCluster, "NAMESPACE", shop)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := exec.CommandContext(t.Context(), rota(t), "policy", "kubernetes", "--helm-values", "--config", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	v := parse(t, string(policy))
	v["config"] = text
	c, _ := helm(t, s, namespace)
	install(t, c, namespace, v)

	account := "system:serviceaccount:" + namespace + ":rota"
	rbac := object(v["rbac"].(map[string]any))
	cluster := rulesOf(rbac.at("clusterRules"))
	for place, promised := range map[string]map[string]bool{
		shop:          union(cluster, rulesOf(rbac.at("namespaces", shop))),
		namespace:     cluster,
		"kube-system": cluster,
	} {
		// What everybody may, such as asking this very question.
		everybody := allowed(t, s, "system:serviceaccount:"+namespace+":nobody", place)
		got := allowed(t, s, account, place)
		for rule := range got {
			if !everybody[rule] && !promised[rule] {
				t.Errorf("in %s it may %s, which the policy doesn't say", place, rule)
			}
		}
		for rule := range promised {
			if !got[rule] {
				t.Errorf("in %s it may not %s", place, rule)
			}
		}
	}
	if len(rulesOf(rbac.at("namespaces", shop))) < 4 || len(cluster) == 0 {
		t.Errorf("the policy says little:\n%s", policy)
	}

	as := client(t, s, account)
	if _, err := as.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
		t.Errorf("what tells clusters apart: %v", err)
	}
	if _, err := as.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("it may list the Secrets of its own namespace")
	}
	if _, err := as.CoreV1().Secrets(shop).Get(t.Context(), "other", metav1.GetOptions{}); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("another Secret beside its own: %v", err)
	}
}

// Without rules, nothing is allowed that isn't allowed to everybody; and the controller
// gets its own resources and one Lease.
func TestTheServiceAccountOfTheDefaultsMayDoNothing(t *testing.T) {
	s := cluster.Get(t)
	namespace := restricted(t, s)
	node(t, s, namespace)
	c, _ := helm(t, s, namespace)
	install(t, c, namespace, values{})
	everybody := allowed(t, s, "system:serviceaccount:"+namespace+":nobody", namespace)
	account := "system:serviceaccount:" + namespace + ":rota"
	if got := allowed(t, s, account, namespace); !maps.Equal(got, everybody) {
		t.Errorf("by default it may %v", slices.Sorted(maps.Keys(got)))
	}
	upgrade(t, c, namespace, parse(t, "{controller: {enabled: true}, crds: {install: false}}"))
	own := maps.Clone(everybody)
	kinds := []string{"rotatingsecrets", "connections", "clusterconnections"}
	each(own, []string{"list", "watch"}, []string{"rota.dev"}, kinds, nil)
	each(own, []string{"update"}, []string{"rota.dev"}, []string{"rotatingsecrets/status", "connections/status", "clusterconnections/status"}, nil)
	each(own, []string{"list", "watch"}, []string{""}, []string{"namespaces"}, nil)
	each(own, []string{"create"}, []string{""}, []string{"events"}, nil)
	each(own, []string{"create"}, []string{"coordination.k8s.io"}, []string{"leases"}, nil)
	each(own, []string{"get", "update"}, []string{"coordination.k8s.io"}, []string{"leases"}, []string{"rota"})
	if got := allowed(t, s, account, namespace); !maps.Equal(got, own) {
		t.Errorf("the controller may %v", slices.Sorted(maps.Keys(got)))
	}
}

func client(t *testing.T, s *testenv.KubernetesServer, as string) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL, BearerToken: s.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAFile: s.CA},
		Impersonate: rest.ImpersonationConfig{UserName: as, Groups: []string{"system:serviceaccounts", "system:authenticated"}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// allowed is everything that an account may do with resources in a namespace, one line
// for each verb, resource and name, as the API server's authorizer lists it.
func allowed(t *testing.T, s *testenv.KubernetesServer, account, namespace string) map[string]bool {
	t.Helper()
	review, err := client(t, s, account).AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorization.SelfSubjectRulesReview{Spec: authorization.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatal("the API server doesn't know all: ", review.Status.EvaluationError)
	}
	rules := map[string]bool{}
	for _, r := range review.Status.ResourceRules {
		each(rules, r.Verbs, r.APIGroups, r.Resources, r.ResourceNames)
	}
	return rules
}

// rulesOf are rules of values, as allowed has them.
func rulesOf(list any) map[string]bool {
	rules := map[string]bool{}
	items, _ := list.([]any)
	for _, item := range items {
		r := object(item.(map[string]any))
		texts := func(key string) []string {
			var out []string
			values, _ := r.at(key).([]any)
			for _, v := range values {
				out = append(out, fmt.Sprint(v))
			}
			return out
		}
		each(rules, texts("verbs"), texts("apiGroups"), texts("resources"), texts("resourceNames"))
	}
	return rules
}

func each(rules map[string]bool, verbs, groups, resources, names []string) {
	if len(names) == 0 {
		names = []string{""}
	}
	for _, v := range verbs {
		for _, g := range groups {
			for _, r := range resources {
				for _, n := range names {
					rules[v+" "+g+"/"+r+" "+n] = true
				}
			}
		}
	}
}

func union(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
