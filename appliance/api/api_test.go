package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/appliance"
	"redhen/appliance/api"
	"redhen/appliance/status"
)

const password = "a good enough password"

// runBox runs a box in this process until the test ends, and returns its directory.
func runBox(t *testing.T) (dir string, client *api.Client) {
	t.Helper()
	dir = t.TempDir()
	box, err := appliance.Open(appliance.Config{Dir: dir, Listen: netip.MustParseAddr("127.0.0.1"), PromoteAfter: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("box: %v", err)
		}
	})
	return dir, api.NewClient(dir)
}

func found(t *testing.T) (dir string, client *api.Client) {
	t.Helper()
	dir, client = runBox(t)
	err := client.Found(t.Context(), api.Found{
		Circle: "Hens", House: "Mill Lane", Box: "hen", Keeper: api.Keeper{Login: "anna", FullName: "Anna", Password: password},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, client
}

// wants checks that an error has a code and a sentence.
func wants(t *testing.T, what string, err error, code string) {
	t.Helper()
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code || !strings.HasSuffix(strings.TrimRight(e.Sentence, "/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"), ".") && code != api.CodeNoBox {
		t.Errorf("%s: %v (%+v), want %s", what, err, e, code)
	}
}

func TestWithoutABox(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), strings.Repeat("long", 40), "missing")} {
		_, err := api.NewClient(dir).Box(t.Context())
		wants(t, "box", err, api.CodeNoBox)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := api.NewClient(t.TempDir()).Box(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
}

// The kernel takes 107 bytes; people have longer folders.
func TestSocketBelowALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 100), strings.Repeat("y", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds the socket that the first left
		l, err := api.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"name":"hen"}`) })}
		go srv.Serve(l)
		if b, err := api.NewClient(dir).Box(t.Context()); err != nil || b.Name != "hen" {
			t.Errorf("box below a long path: %+v, %v", b, err)
		}
		srv.Close()
	}
}

func TestFreshBox(t *testing.T) {
	_, c := runBox(t)
	if b, err := c.Box(t.Context()); err != nil || b.Claimed || b.ID.PublicKey() == nil || b.Port == 0 {
		t.Errorf("box: %+v, %v", b, err)
	}
	_, err := c.Status(t.Context())
	wants(t, "status", err, "no-circle")
	_, err = c.Accounts(t.Context())
	wants(t, "accounts", err, "no-circle")
	_, err = c.InviteAccount(t.Context(), api.PersonInvite{Login: "mia"})
	wants(t, "invite", err, "no-circle")
	_, err = c.Spaces(t.Context())
	wants(t, "spaces", err, "no-circle")
	err = c.Join(t.Context(), api.Join{Ticket: "garbage", House: "x", Box: "y", Keeper: api.Keeper{Login: "ben", Password: password}}, func(api.Step) {})
	wants(t, "join", err, "no-ticket")
}

func TestPeopleAndDevices(t *testing.T) {
	_, c := found(t)
	ctx := t.Context()
	mia, err := c.AddAccount(ctx, api.NewAccount{Login: "mia", FullName: "Mia", Password: password})
	if err != nil || mia.Login != "mia" || mia.ID == "" {
		t.Fatalf("add: %+v, %v", mia, err)
	}
	list, err := c.Accounts(ctx)
	if err != nil || len(list) != 2 || !slices.Equal(list[0].Boxes, []string{"hen"}) || list[1].Space != "mia" {
		t.Errorf("accounts: %+v, %v", list, err)
	}
	d, err := c.AddDevice(ctx, "mia", "laptop")
	if err != nil || d.Password == "" {
		t.Fatalf("device: %+v, %v", d, err)
	}
	devices, err := c.Devices(ctx, "mia")
	if err != nil || len(devices) != 1 || devices[0].Password != "" || devices[0].Label != "laptop" {
		t.Errorf("devices: %+v, %v", devices, err)
	}
	if err := c.RemoveDevice(ctx, "mia", d.ID); err != nil {
		t.Error(err)
	}
	wants(t, "wrong password", c.SetPassword(ctx, "mia", api.NewPassword{Old: "something else", Password: "another good one"}), "wrong-password")
	if err := c.SetPassword(ctx, "mia", api.NewPassword{Password: "another good one"}); err != nil {
		t.Error(err)
	}
	if err := c.RemoveAccount(ctx, "mia"); err != nil {
		t.Error(err)
	}
	wants(t, "name with a slash", c.RemoveAccount(ctx, "../mia"), "no-account")
}

func TestInvites(t *testing.T) {
	_, c := found(t)
	ctx := t.Context()
	ticket, err := c.InviteBox(ctx, api.BoxInvite{Seconds: 60})
	if err != nil || !strings.HasSuffix(ticket.Link, ticket.Text) {
		t.Fatalf("invite: %+v, %v", ticket, err)
	}
	_, err = c.InviteBox(ctx, api.BoxInvite{Seconds: -1})
	wants(t, "negative life", err, api.CodeBadRequest)
	_, err = c.InviteBox(ctx, api.BoxInvite{Seconds: 1 << 60})
	wants(t, "endless life", err, api.CodeBadRequest)
	if err := c.Revoke(ctx, ticket.ID); err != nil {
		t.Error(err)
	}
	inv, err := c.Invites(ctx)
	if err != nil || len(inv.Waiting) != 0 || len(inv.Tickets) != 1 || inv.Tickets[0].State != "revoked" {
		t.Errorf("invites: %+v, %v", inv, err)
	}
	wants(t, "approve nobody", c.Approve(ctx, "oak"), "not-waiting")
	wants(t, "reject nobody", c.Reject(ctx, "oak"), "not-waiting")
	person, err := c.InviteAccount(ctx, api.PersonInvite{Login: "clara", FullName: "Clara"})
	if err != nil || person.Code == "" {
		t.Errorf("invite a person: %+v, %v", person, err)
	}
}

func TestStatusAndFigures(t *testing.T) {
	dir, c := found(t)
	r, err := c.Status(t.Context())
	if err != nil || r.Circle != "Hens" || r.Safe != status.NotYet || len(r.Houses) != 1 {
		t.Errorf("status: %+v, %v", r, err)
	}
	if _, err := c.Diary(t.Context(), 5); err != nil {
		t.Error(err)
	}
	code, body := raw(t, dir, "GET", "/metrics", nil)
	if code != 200 || !strings.Contains(body, "redhen_safe 0") {
		t.Errorf("figures: %d", code)
	}
}

func TestFilesOfNoSpace(t *testing.T) {
	_, c := found(t)
	if spaces, err := c.Spaces(t.Context()); err != nil || len(spaces) != 1 || spaces[0].Name != "anna" || spaces[0].Owner != "anna" {
		t.Errorf("spaces: %+v, %v", spaces, err)
	}
	if list, err := c.List(t.Context(), "anna", "/"); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	_, err := c.List(t.Context(), "nobody", "/")
	wants(t, "no such space", err, api.CodeFiles)
	_, err = c.List(t.Context(), "anna", "/../x")
	wants(t, "no such path", err, api.CodeFiles)
	wants(t, "no such file", c.Get(t.Context(), "anna", "/x", io.Discard), api.CodeFiles)
}

// What no client of ours sends is refused in words, and bounded.
func TestBadRequests(t *testing.T) {
	dir, _ := runBox(t)
	huge, err := json.Marshal(api.Found{Circle: strings.Repeat("x", 100<<10)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		body         []byte
	}{
		{"POST", "/v1/found", nil},
		{"POST", "/v1/found", []byte("no json")},
		{"POST", "/v1/found", []byte(`{"circle":"x","newer":1}`)},
		{"POST", "/v1/found", []byte(`{}{}`)},
		{"POST", "/v1/found", huge},
		{"POST", "/v1/join", []byte("[")},
		{"GET", "/v1/nothing", nil},
		{"PATCH", "/v1/found", nil},
		{"GET", "/", nil},
	} {
		code, body := raw(t, dir, c.method, c.path, c.body)
		var e api.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != 400 || e.Code != api.CodeBadRequest || !strings.Contains(e.Sentence, "Nothing was changed.") {
			t.Errorf("%s %s: %d %s", c.method, c.path, code, body)
		}
	}
}

// raw sends a request as no client of ours does.
func raw(t *testing.T, dir, method, path string, body []byte) (int, string) {
	t.Helper()
	h := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, api.SocketName))
	}, DisableKeepAlives: true}}
	req, err := http.NewRequest(method, "http://redhen"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// A box that ends in the middle of an answer is told from one that says no.
func TestBoxThatEndsInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	l, err := api.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/file"):
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "only this")
		case r.URL.Path == "/v1/join":
			io.WriteString(w, `{"stage":"connecting"}`+"\n")
		case r.URL.Path == "/v1/box":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	})}
	go srv.Serve(l)
	defer srv.Close()
	c := api.NewClient(dir)
	_, err = c.Box(t.Context())
	wants(t, "box", err, api.CodeBroken)
	var steps int
	wants(t, "join", c.Join(t.Context(), api.Join{}, func(api.Step) { steps++ }), api.CodeBroken)
	if steps != 1 {
		t.Errorf("%d steps before the end, want 1", steps)
	}
	wants(t, "file", c.Get(t.Context(), "anna", "/x", io.Discard), api.CodeFiles)
	_, err = c.Status(t.Context())
	wants(t, "nonsense", err, api.CodeInside)
}
