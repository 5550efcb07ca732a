package function

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// intentTag is the tag of a secret that stores what must survive a crash
// between creating an access key and storing it: each rotation.Intent as
// "version:at:until:known+known", joined by @. Times are Unix seconds.
const intentTag = "rota:intent"

// maxTagValue is the maximum length of a tag's value, in characters.
const maxTagValue = 256

var taggableID = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

// encodeIntents encodes intents as a tag's value.
func encodeIntents(intents []rotation.Intent) (string, error) {
	texts := make([]string, len(intents))
	for i, in := range intents {
		for _, id := range append(slices.Clone(in.Known), in.Version) {
			if !taggableID.MatchString(id) {
				return "", fmt.Errorf("an intent with the id %q can't be stored in a tag", id)
			}
		}
		texts[i] = fmt.Sprintf("%s:%d:%d:%s", in.Version, in.At.Unix(), in.Until.Add(time.Second-1).Unix(), strings.Join(in.Known, "+"))
	}
	text := strings.Join(texts, "@")
	if len(text) > maxTagValue {
		return "", &rota.Error{Op: "store the intent in the tag " + intentTag, Class: rota.ClassStop,
			Err:      fmt.Errorf("it has no room for %d calls whose responses were lost", len(intents)-1),
			Remedies: rota.Outside("check the user's access keys, delete the unused ones, and remove the tag")}
	}
	return text, nil
}

// decodeIntents is the reverse.
func decodeIntents(text string) ([]rotation.Intent, error) {
	if text == "" {
		return nil, nil
	}
	var intents []rotation.Intent
	for _, part := range strings.Split(text, "@") {
		fields := strings.Split(part, ":")
		if len(fields) != 4 {
			return nil, rota.WithRemedies(fmt.Errorf("the tag %s is malformed", intentTag), rota.Outside("check the user's access keys, and remove the tag"))
		}
		at, errAt := strconv.ParseInt(fields[1], 10, 64)
		until, errUntil := strconv.ParseInt(fields[2], 10, 64)
		if errAt != nil || errUntil != nil {
			return nil, rota.WithRemedies(fmt.Errorf("the tag %s is malformed", intentTag), rota.Outside("check the user's access keys, and remove the tag"))
		}
		in := rotation.Intent{Version: fields[0], At: time.Unix(at, 0).UTC(), Until: time.Unix(until, 0).UTC()}
		if fields[3] != "" {
			in.Known = strings.Split(fields[3], "+")
		}
		intents = append(intents, in)
	}
	return intents, nil
}
