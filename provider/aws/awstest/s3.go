package awstest

import (
	"crypto/md5" //nolint:gosec // S3's ETags are MD5 sums
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bucket is an S3 bucket. Table rows are never changed in place.
type bucket struct {
	name    string
	readers []string // users who can read
	objects map[string]object
	// versions are all that each object has had, the newest first. Like a delete
	// marker, a deletion keeps them.
	versions map[string][]object
}

type object struct {
	id       string // of the version
	body     []byte
	kind     string // Content-Type
	modified time.Time
}

func (o object) etag() string {
	sum := md5.Sum(o.body) //nolint:gosec // S3 uses it for the ETag; no security depends on it
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// parseS3 determines the bucket, the object and the action of a path-style
// request.
func (x *exchange) parseS3() {
	x.bucket, x.object, _ = strings.Cut(strings.TrimPrefix(x.http.URL.Path, "/"), "/")
	query, err := url.ParseQuery(x.http.URL.RawQuery)
	if err != nil && x.err == nil {
		x.err = fail(400, "InvalidURI", "Couldn't parse the specified URI.")
	}
	x.query = query
	kind := "Bucket"
	if x.object != "" {
		kind = "Object"
	}
	switch x.http.Method {
	case http.MethodHead:
		x.action = "Head" + kind
	case http.MethodGet:
		x.action = "Get" + kind
		if kind == "Bucket" {
			x.action = "ListObjectsV2"
			if query.Has("versions") {
				x.action = "ListObjectVersions"
			}
		}
	case http.MethodPut:
		x.action = "Put" + kind
	case http.MethodDelete:
		x.action = "Delete" + kind
	default:
		x.action = x.http.Method + kind
	}
}

// reads reports whether the caller is one of the bucket's readers and the
// request only reads.
func (s *Server) reads(x *exchange) bool {
	b := s.buckets.get(x.bucket, false)
	switch x.action {
	case "HeadBucket", "ListObjectsV2", "GetObject", "HeadObject":
		return b != nil && x.caller.user != "" && slices.Contains(b.readers, x.caller.user)
	}
	return false
}

func (s *Server) s3(x *exchange) reply {
	b := s.buckets.get(x.bucket, x.stale && x.http.Method != http.MethodPut && x.http.Method != http.MethodDelete)
	if b == nil {
		return s.render(x, fail(404, "NoSuchBucket", "The specified bucket does not exist"))
	}
	header := map[string]string{"X-Amz-Request-Id": s.newUUID(), "X-Amz-Bucket-Region": s.region}
	answer := reply{status: http.StatusOK, header: header}
	switch x.action {
	case "HeadBucket":
	case "ListObjectsV2":
		return s.listObjects(x, b, answer)
	case "ListObjectVersions":
		return s.listVersions(x, b, answer)
	case "GetObject", "HeadObject":
		o, ok := b.objects[x.object]
		if id := x.query.Get("versionId"); id != "" {
			i := slices.IndexFunc(b.versions[x.object], func(o object) bool { return o.id == id })
			if ok = i >= 0; ok {
				o = b.versions[x.object][i]
			}
		}
		if !ok {
			return s.render(x, fail(404, "NoSuchKey", "The specified key does not exist."))
		}
		header["Etag"], header["Content-Type"] = o.etag(), o.kind
		header["Last-Modified"] = o.modified.Format(http.TimeFormat)
		answer.body = o.body // net/http omits it for HEAD
	case "PutObject":
		o := object{id: s.newUUID(), body: x.body, kind: x.http.Header.Get("Content-Type"), modified: s.now()}
		if o.kind == "" {
			o.kind = "binary/octet-stream"
		}
		c := *b
		c.objects = maps.Clone(b.objects)
		c.objects[x.object] = o
		c.versions = maps.Clone(b.versions)
		c.versions[x.object] = append([]object{o}, b.versions[x.object]...)
		s.buckets.put(b.name, &c)
		header["Etag"] = o.etag()
	case "DeleteObject":
		c := *b
		c.objects = maps.Clone(b.objects)
		delete(c.objects, x.object)
		s.buckets.put(b.name, &c)
		answer.status = http.StatusNoContent
	default:
		return s.render(x, fail(501, "NotImplemented", "A header or action you provided implies functionality that is not implemented."))
	}
	return answer
}

func (s *Server) listObjects(x *exchange, b *bucket, answer reply) reply {
	limit := 1000
	if n, err := strconv.Atoi(x.query.Get("max-keys")); err == nil && n >= 0 && n < limit {
		limit = n
	}
	after := x.query.Get("start-after")
	if token := x.query.Get("continuation-token"); token != "" {
		text, err := hex.DecodeString(token)
		if err != nil {
			return s.render(x, fail(400, "InvalidArgument", "The continuation token provided is incorrect"))
		}
		after = string(text)
	}
	type contents struct {
		Key, LastModified, ETag string
		Size                    int
		StorageClass            string
	}
	result := struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		Contents              []contents
		NextContinuationToken string `xml:",omitempty"`
	}{Name: b.name, Prefix: x.query.Get("prefix"), MaxKeys: limit}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if key <= after || !strings.HasPrefix(key, result.Prefix) {
			continue
		}
		if len(result.Contents) == limit {
			result.IsTruncated = limit > 0
			break
		}
		o := b.objects[key]
		result.Contents = append(result.Contents, contents{key, o.modified.Format("2006-01-02T15:04:05.000Z"), o.etag(), len(o.body), "STANDARD"})
	}
	result.KeyCount = len(result.Contents)
	if result.IsTruncated {
		result.NextContinuationToken = hex.EncodeToString([]byte(result.Contents[limit-1].Key))
	}
	body, err := xml.Marshal(result)
	if err != nil {
		return s.render(x, fail(500, "InternalError", err.Error()))
	}
	answer.body = append([]byte(xml.Header), body...)
	answer.header["Content-Type"] = "application/xml"
	return answer
}

// listVersions lists all versions on one page.
func (s *Server) listVersions(x *exchange, b *bucket, answer reply) reply {
	type version struct {
		Key       string
		VersionID string `xml:"VersionId"`
		Size      int
	}
	result := struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
		Name, Prefix string
		IsTruncated  bool
		Version      []version
	}{Name: b.name, Prefix: x.query.Get("prefix")}
	for _, key := range slices.Sorted(maps.Keys(b.versions)) {
		for _, o := range b.versions[key] {
			if strings.HasPrefix(key, result.Prefix) {
				result.Version = append(result.Version, version{key, o.id, len(o.body)})
			}
		}
	}
	body, err := xml.Marshal(result)
	if err != nil {
		return s.render(x, fail(500, "InternalError", err.Error()))
	}
	answer.body = append([]byte(xml.Header), body...)
	answer.header["Content-Type"] = "application/xml"
	return answer
}
