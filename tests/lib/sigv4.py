#!/usr/bin/env python3
"""Signature Version 4 for S3 in its shortest form, and a raw client with it: no retries, no redirects, nothing it
adds or hides. Keys are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.

sigv4.py [-i] [-H HEADER:VALUE]... [-d TEXT | -f FILE] [-t SECONDS] METHOD URL
sigv4.py list BUCKET_URL                a line for each object: SIZE KEY
sigv4.py versions BUCKET_URL            a line for each version and each marker: KEY VERSION-ID Version|DeleteMarker
sigv4.py batch URL                      a request for each line that comes in, as above but with the path for the URL, in
                                        the words of a shell: prints STATUS and the body in a line
sigv4.py unlock BUCKET_URL SECONDS      ends the locks in governance mode that end within so many seconds, and returns
                                        when they have ended

The body goes to stdout, with -i after the status and the headers. Status 0: an answer 2xx; 1: any other answer;
3: reset; 4: the body ends early; 5: nothing came for SECONDS.
"""
import argparse
import hashlib
import hmac
import http.client
import os
import shlex
import socket
import ssl
import sys
import time
import urllib.parse
import xml.etree.ElementTree


def signature(secret_key, method, target, headers, signed, stamp, region, payload_hash):
    """Hex signature of a request. target: path and query as sent; headers: with lower-case names; signed: names."""
    path, _, query = target.partition("?")
    pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
    canonical = "\n".join([method, path, "&".join(pairs),
                           *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed), "",
                           ";".join(signed), payload_hash])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret_key).encode()
    for part in (stamp[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def sign(method, target, headers, body, access_key, secret_key, token=None, region="us-east-1", now=None):
    """Adds what signs the request to headers (lower-case names, host among them)."""
    headers["x-amz-date"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    if token:
        headers["x-amz-security-token"] = token
    signed = sorted(name for name in headers if name in ("host", "content-md5") or name.startswith("x-amz-"))
    stamp = headers["x-amz-date"]
    value = signature(secret_key, method, target, headers, signed, stamp, region, headers["x-amz-content-sha256"])
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key}/{stamp[:8]}/{region}/s3/aws4_request, "
                                f"SignedHeaders={';'.join(signed)}, Signature={value}")


def request(method, url, headers, body, timeout):
    parts = urllib.parse.urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {name.lower(): value for name, value in headers} | {"host": parts.netloc, "content-length": str(len(body))}
    if "AWS_ACCESS_KEY_ID" in os.environ:
        sign(method, target, headers, body, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"],
             os.environ.get("AWS_SESSION_TOKEN"), os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=os.environ.get("S3_CA"))
        connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    if parts.hostname.endswith(".localhost"):  # as libcurl does
        connection._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", address[1]), *rest)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    return connection.getresponse()


def listing(what, url):
    """All pages of it: elements without their namespace."""
    query = {"list-type": "2"} if what == "list" else {"versions": ""}
    while True:
        answer = request("GET", f"{url}?{urllib.parse.urlencode(query)}", (), b"", 60)
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{url}: {answer.status} {text}")
        page = xml.etree.ElementTree.fromstring(text)
        for element in page.iter():
            element.tag = element.tag.rpartition("}")[2]
        yield from (element for element in page if element.tag in ("Contents", "Version", "DeleteMarker"))
        if page.findtext("IsTruncated") != "true":
            return
        for name, value in (("continuation-token", "NextContinuationToken"), ("key-marker", "NextKeyMarker"),
                            ("version-id-marker", "NextVersionIdMarker")):
            if page.findtext(value):
                query[name] = page.findtext(value)


def date_of(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def unlock(url, within):
    last = 0
    for element in list(listing("versions", url)):
        where = f"{url}/{element.findtext('Key')}?retention&versionId={element.findtext('VersionId')}"
        answer = request("GET", where, (), b"", 60).read().decode() if element.tag == "Version" else ""
        date = answer.partition("<RetainUntilDate>")[2].partition("<")[0]
        if not date or date[:19] >= date_of(time.time() + within)[:19]:
            continue
        # The soonest that this machine, perhaps a busy one, has asked for before it is over.
        for seconds in (1, 5, 20, 60):
            last = max(last, int(time.time()) + 1 + seconds)
            body = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{date_of(last)}</RetainUntilDate></Retention>"
            answer = request("PUT", where, [("x-amz-bypass-governance-retention", "true")], body.encode(), 60)
            text = answer.read()
            if answer.status == 200:
                break
        else:
            sys.exit(f"{where}: {answer.status} {text}")
    time.sleep(max(0, last + 1 - time.time()))


def batch(url):
    for line in sys.stdin:
        options = parse(shlex.split(line))
        answer = request(options.method, url + options.url, options.headers, options.text.encode(), options.timeout)
        print(answer.status, " ".join(answer.read().decode(errors="replace").split()), flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-i", dest="head", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[],
                        type=lambda header: tuple(part.strip() for part in header.split(":", 1)))
    parser.add_argument("-d", dest="text", default="")
    parser.add_argument("-f", dest="file")
    parser.add_argument("-t", dest="timeout", type=float, default=60)
    parser.add_argument("method")
    parser.add_argument("url")
    return parser.parse_args(arguments)


def main():
    if sys.argv[1:2] == ["batch"]:
        return batch(sys.argv[2])
    if sys.argv[1:2] == ["unlock"]:
        return unlock(sys.argv[2], int(sys.argv[3]))
    if sys.argv[1:2] in (["list"], ["versions"]):
        for element in listing(*sys.argv[1:]):
            if sys.argv[1] == "list":
                print(element.findtext("Size"), element.findtext("Key"))
            else:
                print(element.findtext("Key"), element.findtext("VersionId"), element.tag)
        return None
    options = parse(sys.argv[1:])
    body = options.text.encode()
    if options.file:
        with open(options.file, "rb") as f:
            body = f.read()
    try:
        answer = request(options.method, options.url, options.headers, body, options.timeout)
        if options.head:
            print(answer.status, *(f"{name}: {value}" for name, value in answer.getheaders()), "", sep="\n", flush=True)
        sys.stdout.buffer.write(answer.read())
        sys.exit(0 if answer.status < 300 else 1)
    except TimeoutError:
        sys.exit(5)
    except http.client.IncompleteRead:
        sys.exit(4)
    except (ConnectionError, http.client.RemoteDisconnected):
        sys.exit(3)


if __name__ == "__main__":
    main()
