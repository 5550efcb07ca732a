package kubernetes

import (
	"regexp"
	"slices"
	"strings"
)

// The annotations of Stakater's Reloader, https://github.com/stakater/Reloader.
const (
	stakaterAuto       = "reloader.stakater.com/auto"
	stakaterSecretAuto = "secret.reloader.stakater.com/auto"
	stakaterReload     = "secret.reloader.stakater.com/reload"
	stakaterExclude    = "secrets.exclude.reloader.stakater.com/reload"
	stakaterSearch     = "reloader.stakater.com/search"
	stakaterMatch      = "reloader.stakater.com/match"  // on the Secret
	stakaterIgnore     = "reloader.stakater.com/ignore" // on the Secret
)

// reloadedByOther reports whether Reloader watches this workload and restarts it when the
// Secret changes. It doesn't if the Secret isn't known.
func (w *workload) reloadedByOther(s secret) bool {
	name, of := s.Metadata.Name, s.Metadata.Annotations
	if name == "" || of[stakaterIgnore] == "true" {
		return false
	}
	for _, a := range []map[string]string{w.Metadata.Annotations, w.Spec.Template.Metadata.Annotations} {
		listed := func(annotation string, is func(string) bool) bool {
			return slices.ContainsFunc(strings.Split(a[annotation], ","), func(one string) bool { return is(strings.TrimSpace(one)) })
		}
		auto := (a[stakaterAuto] == "true" || a[stakaterSecretAuto] == "true") && w.Spec.Template.Spec.uses(name) != unused &&
			!listed(stakaterExclude, func(one string) bool { return one == name })
		named := listed(stakaterReload, func(one string) bool { return one != "" && matches(one, name) })
		if auto || named || a[stakaterSearch] == "true" && of[stakaterMatch] == "true" {
			return true
		}
	}
	return false
}

// matches reports whether a pattern of Reloader's is a name, all of it.
func matches(pattern, name string) bool {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && re.MatchString(name)
}
