package dav

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/webdav"

	"github.com/google/go-cmp/cmp"
)

// hrefs returns what a multistatus lists.
func hrefs(t *testing.T, body string) []string {
	t.Helper()
	var m struct {
		Responses []struct {
			Href string `xml:"DAV: href"`
		} `xml:"DAV: response"`
	}
	if err := xml.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	var all []string
	for _, r := range m.Responses {
		all = append(all, r.Href)
	}
	return all
}

func TestPropfindDepths(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/a", "")
	d.want(201, "MKCOL", "/a/b", "")
	d.want(201, "PUT", "/a/b/c", "x")
	d.want(201, "PUT", "/a/f%20g", "x")
	for depth, want := range map[string][]string{
		"0":        {"/dav/anna/a/"},
		"1":        {"/dav/anna/a/", "/dav/anna/a/b/", "/dav/anna/a/f%20g"},
		"infinity": {"/dav/anna/a/", "/dav/anna/a/b/", "/dav/anna/a/b/c", "/dav/anna/a/f%20g"},
	} {
		a := d.want(207, "PROPFIND", "/a", "", "Depth: "+depth)
		if diff := cmp.Diff(want, hrefs(t, a.body)); diff != "" {
			t.Errorf("depth %s: %s", depth, diff)
		}
	}
	d.want(404, "PROPFIND", "/none", "", "Depth: 1")
	d.want(400, "PROPFIND", "/a", "", "Depth: 2")
	d.want(400, "PROPFIND", "/a", "<not xml", "Depth: 0")
}

func TestPropfindOfInfiniteDepthIsBounded(t *testing.T) {
	d := openDoor(t)
	for i := range 6 {
		d.want(201, "PUT", fmt.Sprintf("/f%d", i), "x")
	}
	cfg := d.cfg
	cfg.MaxTree = 5
	small := serve(t, d.store, cfg)
	a := small.want(403, "PROPFIND", "/", "", "Depth: infinity")
	if !strings.Contains(a.body, "propfind-finite-depth") {
		t.Errorf("got %s", a.body)
	}
	small.want(207, "PROPFIND", "/", "", "Depth: 1")
}

func TestTheFolderOfAllSpaces(t *testing.T) {
	d := openDoor(t)
	d.url = strings.TrimSuffix(d.url, "/anna")
	want := []string{"/dav/", "/dav/anna/", "/dav/family/"}
	for _, p := range []string{"", "/"} {
		a := d.want(207, "PROPFIND", p, "", "Depth: 1")
		if diff := cmp.Diff(want, hrefs(t, a.body)); diff != "" {
			t.Errorf("%q: %s", p, diff)
		}
	}
	d.want(403, "PROPFIND", "/", "")
	d.want(405, "PUT", "/", "x")
	d.want(404, "MKCOL", "/new", "")
	d.want(404, "PROPFIND", "/nobody", "", "Depth: 0")
	d.want(404, "GET", "/nobody/x", "")
}

func TestLiveProperties(t *testing.T) {
	d := openDoor(t)
	tag := d.want(201, "PUT", "/a.jpg", "12345", "X-OC-Mtime: 1234567890").head.Get("ETag")
	a := d.want(207, "PROPFIND", "/a.jpg", "", "Depth: 0")
	for _, want := range []string{">5</D:getcontentlength>", ">image/jpeg</D:getcontenttype>", "Fri, 13 Feb 2009 23:31:30 GMT",
		">" + strings.ReplaceAll(tag, `"`, "&#34;") + "<", "<D:creationdate>", ">a.jpg</D:displayname>"} {
		if !strings.Contains(a.body, want) && !strings.Contains(a.body, strings.ReplaceAll(want, "&#34;", `"`)) {
			t.Errorf("%s is not in %s", want, a.body)
		}
	}
	if a := d.want(207, "PROPFIND", "/", "", "Depth: 0"); !strings.Contains(a.body, ">anna</D:displayname>") {
		t.Errorf("the space does not bear its name: %s", a.body)
	}
	quota := `<D:propfind xmlns:D="DAV:"><D:prop><D:quota-used-bytes/><D:quota-available-bytes/></D:prop></D:propfind>`
	a = d.want(207, "PROPFIND", "/", quota, "Depth: 0")
	if !strings.Contains(a.body, ">1000</D:quota-used-bytes>") || !strings.Contains(a.body, ">2000</D:quota-available-bytes>") {
		t.Errorf("got %s", a.body)
	}
}

func TestDeadPropertiesStay(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	set := `<D:propertyupdate xmlns:D="DAV:" xmlns:z="urn:z"><D:set><D:prop><z:color xml:lang="en"><z:in>red &amp; blue</z:in></z:color></D:prop></D:set></D:propertyupdate>`
	get := `<D:propfind xmlns:D="DAV:"><D:prop><color xmlns="urn:z"/></D:prop></D:propfind>`
	a := d.want(207, "PROPPATCH", "/a", set)
	if !strings.Contains(a.body, "200 OK") || a.head.Get("Redhen-Kept") != "1" {
		t.Errorf("got %s, %v", a.body, a.head)
	}
	holds := func(path string) {
		t.Helper()
		if a := d.want(207, "PROPFIND", path, get, "Depth: 0"); !strings.Contains(a.body, "red &amp; blue") || !strings.Contains(a.body, `lang="en"`) {
			t.Errorf("%s: got %s", path, a.body)
		}
	}
	holds("/a")
	d.want(204, "PUT", "/a", "new content")
	holds("/a")
	d.want(201, "COPY", "/a", "", "Destination: "+d.url+"/b")
	holds("/b")
	d.want(201, "MOVE", "/a", "", "Destination: "+d.url+"/c")
	holds("/c")
	remove := strings.ReplaceAll(strings.ReplaceAll(set, "D:set>", "D:remove>"), "<z:in>red &amp; blue</z:in>", "")
	d.want(207, "PROPPATCH", "/c", remove)
	if a := d.want(207, "PROPFIND", "/c", get, "Depth: 0"); !strings.Contains(a.body, "404 Not Found") {
		t.Errorf("got %s", a.body)
	}
	d.want(404, "PROPPATCH", "/none", set)
}

func TestLivePropertiesAreProtected(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	for _, name := range []string{"getetag", "quota-used-bytes", "lockdiscovery"} {
		a := d.want(207, "PROPPATCH", "/a", `<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:`+name+`>1</D:`+name+`></D:prop></D:set></D:propertyupdate>`)
		if !strings.Contains(a.body, "403 Forbidden") {
			t.Errorf("%s: got %s", name, a.body)
		}
	}
}

func TestPropertyEncodingGoesRound(t *testing.T) {
	for _, p := range []webdav.Property{
		{XMLName: xml.Name{Space: "urn:a", Local: "b"}, Lang: "de", InnerXML: []byte("<x>1</x>\n2")},
		{XMLName: xml.Name{Local: "plain"}, InnerXML: []byte{}},
		{XMLName: xml.Name{Space: "odd}ns", Local: "b"}, InnerXML: []byte("")},
	} {
		got, ok := decodeProp(encodeProp(p))
		if d := cmp.Diff(p, got); !ok || d != "" {
			t.Errorf("%v: %s", ok, d)
		}
	}
	for key, value := range map[string]string{"": "\n", "noBrace": "\n", "{a}b": "no new line", "}": "\n"} {
		if p, ok := decodeProp(key, []byte(value)); ok {
			t.Errorf("%q: read as %v", key, p)
		}
	}
}
