package postgres

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// level is how two roles get the same rights, given what [lacking] said.
func (r *roles) level(lacks []string) []rota.Remedy {
	var ways []string
	rest := slices.Clone(lacks)
	about := func(way string, is func(string) bool) {
		before := len(rest)
		if rest = slices.DeleteFunc(rest, is); len(rest) < before {
			ways = append(ways, way)
		}
	}
	begins := func(with string) func(string) bool {
		return func(lack string) bool { return strings.HasPrefix(lack, with) }
	}
	about(r.share(), begins("ownership of "))
	about("the same VALID UNTIL for both roles", func(lack string) bool { return strings.Contains(lack, "VALID UNTIL ") })
	about("ALTER POLICY … TO a role that both are members of, or to both", func(lack string) bool {
		return strings.HasPrefix(lack, "policy ") || strings.HasPrefix(lack, "freedom from ") || strings.HasPrefix(lack, "the same row security policies ")
	})
	about("ALTER DEFAULT PRIVILEGES FOR ROLE … GRANT, so that both roles have the same, or … REVOKE", func(lack string) bool { return strings.Contains(lack, " on future ") })
	if len(rest) > 0 && r.group == "" {
		ways = append(ways, "give both roles the same attributes, settings and memberships, and grant privileges to a group that both are members of")
	} else if len(rest) > 0 {
		ways = append(ways, "grant to group "+r.group+" what both need, and give both roles the same attributes, settings and memberships")
	}
	return rota.Outside(strings.Join(ways, "; "))
}

// share is how the roles get to share what one of them owns. As members, both may
// alter it, and acting as the owner, neither will own anything else.
func (r *roles) share() string {
	one, two, owner := quote(r.names[0]), quote(r.names[1]), quote(r.owner)
	switch r.owner {
	case r.names[0]:
		return "in each database: REASSIGN OWNED BY " + two + " TO " + one + "; GRANT " + one + " TO " + two + "; ALTER ROLE " + two + " SET ROLE " + one
	case "":
		return "make a role without LOGIN that both are members of, name it as group, and in each database: REASSIGN OWNED BY " + one + ", " + two + " TO it; ALTER ROLE … SET ROLE to it for both"
	}
	return "in each database: REASSIGN OWNED BY " + one + ", " + two + " TO " + owner + "; GRANT " + owner + " TO " + one + ", " + two +
		"; ALTER ROLE " + one + " SET ROLE " + owner + "; ALTER ROLE " + two + " SET ROLE " + owner
}
