package phone

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chooseFiles fills the field of files of a folder.
func chooseFiles(files []string) chromedp.Action[chromedp.Void] {
	return chromedp.SetUploadFiles("form.upload input[type=file]", files, chromedp.NodeReady)
}

// fetch gets an address with the cookies that the browser in ctx has.
func fetch(ctx context.Context, url string) ([]byte, error) {
	cookies, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range cookies.Cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", answer.Status)
	}
	return io.ReadAll(answer.Body)
}
