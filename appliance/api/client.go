package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"

	"redhen/appliance/status"
)

// maxAnswer bounds an answer that is no file, in bytes.
const maxAnswer = 64 << 20

// Client talks to the box that runs on a state directory. Its errors are of type
// *Error, or the context's. It is safe for concurrent use.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient returns a Client; it connects with the first request.
func NewClient(dir string) *Client {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
		DisableKeepAlives: true,
	}}}
}

// do sends a request; the caller closes the body of the answer, which is a good one.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("ask the box: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://redhen"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the box: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var words Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&words); err != nil || words.Sentence == "" {
		return nil, &Error{CodeInside, "The box answered something that this program does not understand. Nothing more was done. Use a redhen of the same version as the box."}
	}
	return nil, &words
}

// noAnswer tells a box that does not run from one that ended on the way.
func (c *Client) noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" || errors.Is(err, fs.ErrNotExist) {
		return &Error{CodeNoBox, fmt.Sprintf("No box runs on %s. Nothing was changed. Start one with: redhen run --state %s", c.dir, c.dir)}
	}
	return &Error{CodeBroken, "The box ended before it answered. What was asked may have been done or not. Start it again, look at redhen status, then try again."}
}

// ask sends a request and reads the answer into out, which may be nil.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return c.noAnswer(ctx, err)
	}
	return nil
}

// got asks and returns the answer.
func got[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.ask(ctx, method, path, in, &out)
	return out, err
}

// Box asks the box who it is.
func (c *Client) Box(ctx context.Context) (Box, error) {
	return got[Box](ctx, c, "GET", "/v1/box", nil)
}

// Status asks how the circle is.
func (c *Client) Status(ctx context.Context) (status.Report, error) {
	return got[status.Report](ctx, c, "GET", "/v1/status", nil)
}

// SetStrangers lets strangers help boxes to find each other, or not.
func (c *Client) SetStrangers(ctx context.Context, on bool) error {
	_, err := got[struct{}](ctx, c, "PUT", "/v1/strangers", Switch{on})
	return err
}

// Diary asks for the newest lines of the diary.
func (c *Client) Diary(ctx context.Context, limit int) ([]status.Line, error) {
	return got[[]status.Line](ctx, c, "GET", fmt.Sprintf("/v1/diary?limit=%d", limit), nil)
}

// Found begins a circle on a fresh box.
func (c *Client) Found(ctx context.Context, f Found) error {
	return c.ask(ctx, "POST", "/v1/found", f, nil)
}

// Join brings a fresh box into a circle; tell hears of each step.
func (c *Client) Join(ctx context.Context, j Join, tell func(Step)) error {
	_, err := followed(ctx, c, "/v1/join", j, tell)
	return err
}

// InviteBox makes a ticket for one box.
func (c *Client) InviteBox(ctx context.Context, ask BoxInvite) (Ticket, error) {
	return got[Ticket](ctx, c, "POST", "/v1/invites/box", ask)
}

// InviteAccount invites a person.
func (c *Client) InviteAccount(ctx context.Context, ask PersonInvite) (Invitation, error) {
	return got[Invitation](ctx, c, "POST", "/v1/invites/account", ask)
}

// Invites lists tickets, and the boxes that wait.
func (c *Client) Invites(ctx context.Context) (Invites, error) {
	return got[Invites](ctx, c, "GET", "/v1/invites", nil)
}

// Approve lets a waiting box in, by its name or ID.
func (c *Client) Approve(ctx context.Context, box string) error {
	return c.ask(ctx, "POST", "/v1/waiting/"+url.PathEscape(box), nil, nil)
}

// Reject refuses a waiting box.
func (c *Client) Reject(ctx context.Context, box string) error {
	return c.ask(ctx, "DELETE", "/v1/waiting/"+url.PathEscape(box), nil, nil)
}

// Revoke takes a ticket back, by its ID.
func (c *Client) Revoke(ctx context.Context, ticket string) error {
	return c.ask(ctx, "DELETE", "/v1/invites/"+url.PathEscape(ticket), nil, nil)
}

// Gone says that a box is lost for good, replaced, or stolen.
func (c *Client) Gone(ctx context.Context, g Gone) (Agreed, error) {
	return got[Agreed](ctx, c, "POST", "/v1/gone", g)
}

// TakeOver has the circle go on from this box without houses that are lost.
func (c *Client) TakeOver(ctx context.Context, k Takeover) error {
	return c.ask(ctx, "POST", "/v1/takeover", k, nil)
}

// Keep picks the side that goes on, where two went on alone.
func (c *Client) Keep(ctx context.Context, k Keep) error {
	return c.ask(ctx, "POST", "/v1/keep", k, nil)
}

// Accounts lists the people of the circle.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return got[[]Account](ctx, c, "GET", "/v1/accounts", nil)
}

// AddAccount adds a person, with a space of their own.
func (c *Client) AddAccount(ctx context.Context, n NewAccount) (Account, error) {
	return got[Account](ctx, c, "POST", "/v1/accounts", n)
}

// RemoveAccount removes a person; the space stays.
func (c *Client) RemoveAccount(ctx context.Context, login string) error {
	return c.ask(ctx, "DELETE", "/v1/accounts/"+url.PathEscape(login), nil, nil)
}

// SetPassword sets a person's password.
func (c *Client) SetPassword(ctx context.Context, login string, p NewPassword) error {
	return c.ask(ctx, "PUT", "/v1/accounts/"+url.PathEscape(login)+"/password", p, nil)
}

// Devices lists the device passwords of a person.
func (c *Client) Devices(ctx context.Context, login string) ([]Device, error) {
	return got[[]Device](ctx, c, "GET", "/v1/accounts/"+url.PathEscape(login)+"/devices", nil)
}

// AddDevice draws a device password.
func (c *Client) AddDevice(ctx context.Context, login, label string) (Device, error) {
	return got[Device](ctx, c, "POST", "/v1/accounts/"+url.PathEscape(login)+"/devices", Device{Label: label})
}

// RemoveDevice takes a device password away.
func (c *Client) RemoveDevice(ctx context.Context, login, id string) error {
	return c.ask(ctx, "DELETE", "/v1/accounts/"+url.PathEscape(login)+"/devices/"+url.PathEscape(id), nil, nil)
}

// Spaces lists the spaces of the circle.
func (c *Client) Spaces(ctx context.Context) ([]Space, error) {
	return got[[]Space](ctx, c, "GET", "/v1/spaces", nil)
}

// List lists a directory of a space.
func (c *Client) List(ctx context.Context, space, path string) ([]Entry, error) {
	return got[[]Entry](ctx, c, "GET", "/v1/spaces/"+url.PathEscape(space)+"/tree?path="+url.QueryEscape(path), nil)
}

// Get writes the newest version of a file to w.
func (c *Client) Get(ctx context.Context, space, path string, w io.Writer) error {
	resp, err := c.do(ctx, "GET", "/v1/spaces/"+url.PathEscape(space)+"/file?path="+url.QueryEscape(path), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	from := &source{r: resp.Body}
	if _, err := io.Copy(w, from); from.err != nil {
		return &Error{CodeFiles, "The file arrived only in part: the house that has its bytes went out of reach. Nothing is lost there. Try again."}
	} else if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// source remembers the error of reading, to tell it from one of writing.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
