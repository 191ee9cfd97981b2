package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/space"
	"redhen/appliance/space/spacetest"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

const password = "three brown hens"

// world is a box with its pages: the real circle, accounts and status over a
// directory in memory, and no other box.
type world struct {
	*circle.Circle
	t      testing.TB
	key    ident.Key
	node   *node
	server *Server
	desk   *desk
	stores map[string]*spacetest.Store
	now    func() time.Time
	away   map[ident.BoxID]bool
	links  []p2p.Link
	near   []ident.BoxID
	fresh  []netip.Addr
	// join stands for the other boxes.
	join     func(ctx context.Context, progress func(pair.Progress)) error
	care     *careful
	accounts *account.Accounts
	named    *named
}

// node is a raftnode without raft.
type node struct {
	key ident.Key

	mu       sync.Mutex // guards what follows
	machine  directory.Machine
	state    *kv.Layer
	index    uint64
	apart    bool // nothing is decided
	takeOver func(lost []ident.BoxID, sign func(directory.View) (roster.Change, error)) error
	statuses func() []raftnode.Status
}

func (n *node) Directory(fn func(directory.View) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fn(n.machine.View(n.state))
}

func (n *node) Command(_ context.Context, c directory.Command) (directory.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.apart {
		return directory.Outcome{}, raftnode.ErrApart
	}
	n.index++
	if c.ID == ([16]byte{}) {
		copy(c.ID[:], fmt.Sprintf("%016d", n.index))
	}
	c.By, c.Time = n.key.BoxID(), time.Now().UnixMilli()
	return n.machine.Apply(n.state, n.index, c)
}

func (n *node) Found(ctx context.Context, f directory.Found) error {
	out, err := n.Command(ctx, directory.Command{Found: &f})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("found: %s", out.Code)
	}
	return err
}

func (n *node) Join(context.Context, ident.ReplicaID, []ident.BoxID) error { return nil }

func (n *node) First(ident.ShardID, ident.AccountID, int) ([]circle.Replica, error) {
	return []circle.Replica{{ID: 1, Box: n.key.BoxID(), Role: placement.Voter}}, nil
}

func (n *node) TakeOver(_ context.Context, lost []ident.BoxID, sign func(directory.View) (roster.Change, error)) error {
	if n.takeOver != nil {
		return n.takeOver(lost, sign)
	}
	return raftnode.ErrEnoughLeft
}

func (n *node) News() <-chan struct{} { return nil }

func (n *node) CircleStatus(context.Context) ([]raftnode.Status, error) { return n.statuses(), nil }

// desk is where boxes of the test wait.
type desk struct {
	*pair.Desk

	mu      sync.Mutex // guards waiting and said
	waiting []pair.Pending
	said    []string
}

func (d *desk) Pending() []pair.Pending {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting
}

func (d *desk) Approve(_ context.Context, box ident.BoxID) error { return d.answer("yes", box) }
func (d *desk) Reject(box ident.BoxID) error                     { return d.answer("no", box) }

func (d *desk) answer(say string, box ident.BoxID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) == 0 || d.waiting[0].Box != box {
		return pair.ErrNotPending
	}
	d.said, d.waiting = append(d.said, say), nil
	return nil
}

func boxKey(n int) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{byte(n)}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

func newWorld(t testing.TB) *world { return newWorldWith(t, func(*Config) {}) }

// newWorldWith is one whose pages are set up otherwise.
func newWorldWith(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, key: boxKey(1), stores: map[string]*spacetest.Store{}, now: time.Now, away: map[ident.BoxID]bool{}}
	w.node = &node{key: w.key, state: kv.NewLayer(kv.Empty{})}
	w.node.statuses = w.statuses
	host, err := p2p.New(p2p.Config{Key: w.key, ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	hasher := account.NewHasher(account.Cost{Passes: 1, Memory: 64})
	log := slog.New(slog.DiscardHandler)
	clock := func() time.Time { return w.now() }
	accounts, err := account.New(account.Config{Now: clock, Key: w.key, Directory: w.node, Hasher: hasher, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	w.Circle, err = circle.New(circle.Config{Key: w.key, Dir: t.TempDir(), Node: w.node, Host: host, Accounts: accounts, Hasher: hasher, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	w.accounts = accounts
	w.care, w.named = &careful{w: w}, &named{}
	w.desk = &desk{Desk: w.Circle.Desk()}
	watch, err := status.New(status.Config{Box: w.key.BoxID(), Node: w.node, Fresh: time.Nanosecond, Links: func() []p2p.Link { return w.links }, Near: func() []ident.BoxID { return w.near }})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Box: w.key.BoxID(), Circle: w, Desk: w.desk, Sessions: accounts, Status: watch, Spaces: w,
		Returns: w.care, Care: Care{Drills: w.care, Scrubber: w.care, Updates: w.care, Disks: &w.care.disks, Strangers: w.care}, Naming: w.named, Fresh: func(context.Context) []netip.Addr { return w.fresh },
		Claim: NewRule("hen-and-egg", 15*time.Minute, nil), Names: func() []string { return []string{"mill-lane.local"} }, Now: clock, Logger: log,
	}
	change(&cfg)
	w.server, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Join implements Founder without a network.
func (w *world) Join(ctx context.Context, _ string, _ circle.Place, _ circle.Person, progress func(pair.Progress)) error {
	return w.join(ctx, progress)
}

// Names implements Spaces.
func (w *world) Names(_ context.Context, id ident.AccountID) ([]string, error) {
	accounts, err := w.Accounts()
	for _, a := range accounts {
		if a.ID == id {
			return []string{a.Name}, nil
		}
	}
	return nil, err
}

// Space implements Spaces.
func (w *world) Space(ctx context.Context, id ident.AccountID, name string) (*space.FS, error) {
	names, err := w.Names(ctx, id)
	if err != nil || len(names) == 0 || names[0] != name {
		return nil, space.ErrNotFound
	}
	return space.New(space.Config{Store: w.store(name), Account: id}), nil
}

func (w *world) store(name string) *spacetest.Store {
	s := w.stores[name]
	if s == nil {
		s = spacetest.New(w.t)
		s.Houses = 2
		w.stores[name] = s
	}
	return s
}

// found makes the box ada's, in the circle Riverside.
func (w *world) found() {
	w.t.Helper()
	err := w.Found(context.Background(), "Riverside", circle.Place{House: "Mill Lane", Box: "Mabel"}, circle.Person{Login: "ada", FullName: "Ada Brown", Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
}

// admit lets in a box of another house, whose keeper is new.
func (w *world) admit(n int, house, box, login, name string) {
	w.t.Helper()
	hasher := account.NewHasher(account.Cost{Passes: 1, Memory: 64})
	acc, err := hasher.NewKeeperAccount(context.Background(), login, name, password)
	if err != nil {
		w.t.Fatal(err)
	}
	acc.Space = ident.ShardID(100 + n)
	first, _ := w.node.First(acc.Space, acc.ID, 0) // it never fails
	out, err := w.node.Command(context.Background(), directory.Command{Admit: &directory.Admit{
		Account: &acc, Space: &directory.NewSpace{Space: directory.Space{ID: acc.Space, Name: login, Owner: acc.ID}, Replicas: first},
		Change: roster.NewAdmit(roster.AdmitBody{
			Circle: w.Roster().Circle(), Inviter: w.key.BoxID(), Box: boxKey(n).BoxID(), BoxName: box,
			House: ident.HouseID(fmt.Sprintf("%016x", n)), HouseName: house, Keeper: acc.ID, KeeperKey: acc.KeeperKey,
			Time: time.Now().UnixMilli(),
		}, w.key, boxKey(n)),
	}})
	if err != nil || out.Code != directory.Done {
		w.t.Fatalf("admit: %q, %v", out.Code, err)
	}
}

// statuses is what the boxes would say while all is well.
func (w *world) statuses() []raftnode.Status {
	now := time.Now().UnixMilli()
	own := raftnode.Status{Box: w.key.BoxID(), Time: now, Bytes: 5_230_000_000}
	list := []raftnode.Status{own}
	var members []raftnode.MemberStatus
	for i, b := range w.Roster().Members() {
		members = append(members, raftnode.MemberStatus{Replica: ident.ReplicaID(i + 1), Box: b.ID, Voter: true, Alive: !w.away[b.ID], Known: true})
		switch {
		case w.away[b.ID]:
			list[0].Boxes = append(list[0].Boxes, raftnode.BoxStatus{Box: b.ID, Last: now - 2*3600_000})
		case b.ID != own.Box:
			list[0].Boxes = append(list[0].Boxes, raftnode.BoxStatus{Box: b.ID, Alive: true, Since: now - 3600_000, Last: now})
			list = append(list, raftnode.Status{Box: b.ID, Time: now, Bytes: 5_230_000_000})
		}
	}
	shards := []ident.ShardID{ident.CircleShard}
	accounts, _ := w.Accounts() // a fault shows as a missing space
	for _, a := range accounts {
		shards = append(shards, a.Space)
	}
	for _, id := range shards {
		list[0].Shards = append(list[0].Shards, raftnode.ShardStatus{Shard: id, Leads: true, Term: 2, Members: members})
	}
	return list
}

// request is one for the parts of pages.
func (w *world) request(method, path string) *page.Request {
	return w.server.site.Request(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
}

// browser is a person's browser: it keeps cookies and follows redirects.
type browser struct {
	t       testing.TB
	w       *world
	host    string
	cookies map[string]string
	path    string // where it is
}

func (w *world) browser() *browser {
	return &browser{t: w.t, w: w, host: "192.168.1.20", cookies: map[string]string{}}
}

// loggedIn is a browser of somebody who has logged in.
func (w *world) loggedIn(login string) *browser {
	w.t.Helper()
	b := w.browser()
	if body, code := b.post("/login", "login", login, "password", password); code != http.StatusOK {
		w.t.Fatalf("log in: %d: %s", code, body)
	}
	return b
}

func (b *browser) do(r *http.Request) *http.Response {
	r.Host = b.host
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer := httptest.NewRecorder()
	b.w.server.ServeHTTP(answer, r)
	res := answer.Result()
	for _, c := range res.Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return res
}

// get opens a page, following redirects, and returns its text and status.
func (b *browser) get(path string) (string, int) {
	for range 5 {
		b.path = path
		res := b.do(httptest.NewRequest("GET", path, nil))
		if res.StatusCode != http.StatusSeeOther {
			return b.body(res), res.StatusCode
		}
		path = res.Header.Get("Location")
	}
	b.t.Fatalf("%s: redirects for ever", path)
	return "", 0
}

func (b *browser) body(res *http.Response) string {
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// post sends a form as a browser does, and returns the page that follows.
func (b *browser) post(path string, pairs ...string) (string, int) {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return b.send(path, "application/x-www-form-urlencoded", strings.NewReader(values.Encode()))
}

// upload sends files, given as pairs of name and content.
func (b *browser) upload(path, field string, pairs ...string) (string, int) {
	var body bytes.Buffer
	mw := multipart.NewWriter(&body)
	for i := 0; i+1 < len(pairs); i += 2 {
		part, err := mw.CreateFormFile(field, pairs[i])
		if err != nil {
			b.t.Fatal(err)
		}
		io.WriteString(part, pairs[i+1])
	}
	mw.Close()
	return b.send(path, mw.FormDataContentType(), &body)
}

func (b *browser) send(path, kind string, body io.Reader) (string, int) {
	r := httptest.NewRequest("POST", path, body)
	r.RemoteAddr = "192.168.1.5:4711"
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Origin", "http://"+b.host)
	res := b.do(r)
	if res.StatusCode == http.StatusSeeOther {
		return b.get(res.Header.Get("Location"))
	}
	b.path = path
	return b.body(res), res.StatusCode
}
