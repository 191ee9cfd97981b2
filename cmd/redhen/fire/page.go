package fire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"redhen/cmd/redhen/child"
)

// browser is the person at the pages of one box; it follows no redirects.
func browser() *http.Client {
	return &http.Client{
		Timeout:       answerPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// logIn fills in the login page of a box and returns the cookie that it gives.
func logIn(ctx context.Context, box *child.Box) (*http.Cookie, error) {
	form := url.Values{"login": {person}, "password": {password}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, box.URL()+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", box.URL())
	resp, err := browser().Do(req)
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", box.URL(), err)
	}
	resp.Body.Close()
	if cookies := resp.Cookies(); resp.StatusCode == http.StatusSeeOther && len(cookies) == 1 {
		return cookies[0], nil
	}
	return nil, fmt.Errorf("log in at %s: the page answers %s", box.URL(), resp.Status)
}

// seesFiles opens the person's files at a box with a cookie that any box gave.
func seesFiles(ctx context.Context, box *child.Box, cookie *http.Cookie) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, box.URL()+"/files/"+person, nil)
	if err != nil {
		return err
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	resp, err := browser().Do(req)
	if err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	defer resp.Body.Close()
	html, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(html), "Album") {
		return fmt.Errorf("open files at %s: the page answers %s, without the albums", box.URL(), resp.Status)
	}
	return nil
}
