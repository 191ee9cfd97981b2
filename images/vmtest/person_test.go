package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"redhen/provision/qr"
)

// person is somebody with a browser at the pages of a box.
type person struct {
	t               *testing.T
	m               *Machine
	login, password string
	http            *http.Client
}

// at puts a person in front of the pages of a box.
func at(t *testing.T, m *Machine, login, password string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, m, login, password, &http.Client{Jar: jar, Timeout: 2 * time.Minute}}
}

// sends fills in the form at path, and returns the page that this leads to.
func (p *person) sends(path string, form url.Values) string {
	p.t.Helper()
	page, err := p.ask(http.MethodPost, path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatalf("%s sends %s: %v\n%.2000s", p.login, path, err, words(page))
	}
	return page
}

// words is what a person reads on a page.
func words(page string) string {
	text := regexp.MustCompile(`(?s)<head>.*</head>|<svg.*?</svg>|<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(text), " ")
}

// opens opens a page.
func (p *person) opens(path string) string {
	p.t.Helper()
	page, err := p.ask(http.MethodGet, path, nil)
	if err != nil {
		p.t.Fatalf("%s opens %s: %v\n%.2000s", p.login, path, err, page)
	}
	return page
}

func (p *person) ask(method, path string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.m.URL()+path, body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.m.URL())
	resp, err := p.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return string(page), err
}

// logsIn logs in at the box, and sees the first page.
func (p *person) logsIn() *person {
	p.t.Helper()
	if page := p.sends("/login", url.Values{"login": {p.login}, "password": {p.password}}); !strings.Contains(page, "Is everything safe?") {
		p.t.Fatalf("%s logs in:\n%.2000s", p.login, page)
	}
	return p
}

// letsIn says yes to the box that waits, once there is one.
func (p *person) letsIn(patience time.Duration) {
	p.t.Helper()
	which := regexp.MustCompile(`name="which" value="([^"]+)"`)
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		if m := which.FindStringSubmatch(p.opens("/invite/box")); m != nil {
			p.sends("/invite/box/answer", url.Values{"which": {m[1]}, "say": {"yes"}})
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("no box asked to join within %v", patience)
		}
	}
}

// asks sends a request of the keeper's door, by name and password.
func (p *person) asks(method, path string, in, out any) {
	p.t.Helper()
	text, code := p.request(method, path, in)
	if code != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		p.t.Fatalf("%s %s: %s: %v", method, path, text, err)
	}
}

func (p *person) request(method, path string, in any) (text string, code int) {
	p.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.m.URL()+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth(p.login, p.password)
	resp, err := (&http.Client{Timeout: 15 * time.Minute}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b), resp.StatusCode
}

// report is the part of a box's status that these tests look at.
type report struct {
	Safe     string `json:"safe"`
	Sentence string `json:"sentence"`
	Houses   []struct {
		Name    string `json:"name"`
		Reached struct {
			How any `json:"how"`
		} `json:"reached"`
	} `json:"houses"`
	Spaces []struct {
		Name     string `json:"name"`
		Copies   int    `json:"copies"`
		Deciders int    `json:"deciders"`
	} `json:"spaces"`
}

// waits waits until the status of the box is as wanted, and says how long that took.
func (p *person) waits(what string, patience time.Duration, wanted func(report) bool) {
	p.t.Helper()
	begin := time.Now()
	for {
		var r report
		p.asks(http.MethodGet, "/v1/status", nil, &r)
		if wanted(r) {
			p.t.Logf("%s after %.0f s", what, time.Since(begin).Seconds())
			return
		}
		if time.Since(begin) > patience {
			p.t.Fatalf("not within %v: %s: %+v", patience, what, r)
		}
		time.Sleep(2 * time.Second)
	}
}

// safeIn says that everything is safe, in so many houses.
func safeIn(houses int) func(report) bool {
	return func(r report) bool { return r.Safe == "yes" && len(r.Houses) == houses }
}

// code is what the QR code on a page says, read from a picture of the screen.
func (p *person) code(path string) string {
	p.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(p.t.TempDir()))
	ctx, end := chromedp.NewExecAllocator(context.WithoutCancel(p.t.Context()), options...)
	defer end()
	ctx, end = chromedp.NewContext(ctx)
	defer end()
	ctx, end = context.WithTimeout(ctx, patience)
	defer end()
	home, err := url.Parse(p.m.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.http.Jar.Cookies(home) {
		if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: p.m.URL()}); err != nil {
			p.t.Fatal("chromium:", err)
		}
	}
	err = chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)), chromedp.Navigate(p.m.URL()+path), chromedp.ScrollIntoView("figure.qr"))
	if err != nil {
		p.t.Fatalf("chromium opens %s: %v", path, err)
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal("chromium:", err)
	}
	text, err := qr.Decode(bytes.NewReader(png))
	if err != nil {
		p.t.Fatalf("read the code on %s: %v", path, err)
	}
	return text
}

// invites makes an invite on the page, and returns what its code says.
func (p *person) invites() string {
	p.t.Helper()
	resp, err := p.http.Do(p.form("/invite/box"))
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return p.code(resp.Request.URL.Path)
}

func (p *person) form(path string) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.m.URL()+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Origin", p.m.URL())
	return req
}
