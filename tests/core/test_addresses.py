# ruff: noqa: RUF001 - spellings that people are meant to confuse
import ipaddress

import pytest

from cineflow.core.addresses import is_public_address, is_public_host

PUBLIC = """
example.com  EXAMPLE.com  example.com.  sub.example.co.uk  xn--fsq.com  例え.jp  a_b.example.com
1e100.net  127.0.0.1.nip.io  0x7f.example.com  localhost.example.com  notlocalhost  intranet
8.8.8.8  8.8.8.8.  1.1.1.1  ８.８.８.８  172.15.255.255  172.32.0.1  100.63.255.255  100.128.0.1
192.0.1.1  198.17.255.255  198.20.0.1  223.255.255.255
2606:4700:4700::1111  [2606:4700:4700::1111]  2400:cb00::1  2a00:1450::1
::ffff:8.8.8.8  64:ff9b::8.8.8.8  2002:808:808::1
"""

NOT_PUBLIC = """
localhost  LOCALHOST  localhost.  a.localhost  a.b.LocalHost.  ｌｏｃａｌｈｏｓｔ  local\u00adhost
127.0.0.1  127.0.0.1.  127.1  127.0.1  0177.0.0.1  017700000001  0x7f.0.0.1  0x7f000001  0X7F000001
2130706433  127.0.0.1.. 127.00.0.1  0  0.0.0.0  0x  0x0  4294967296  1.2.3.4.5  256.1.1.1  a.b.1
１２７.０.０.１  127。0。0。1  127．0．0．1  127｡0｡0｡1  ①②⑦.⓪.⓪.①  127.0.0.\u00ad1  𝟏𝟐𝟕.0.0.1
10.0.0.1  10.255.255.255  100.64.0.1  100.127.255.255  169.254.169.254  169.254.0.1  172.16.0.1
172.31.255.255  192.0.0.8  192.0.0.170  192.0.2.1  192.88.99.1  192.168.0.1  198.18.0.1
198.19.255.255  198.51.100.1  203.0.113.1  224.0.0.1  239.255.255.255  240.0.0.1  255.255.255.255
::  ::1  [::1]  [::]  0:0:0:0:0:0:0:1  ::127.0.0.1  ::8.8.8.8  ::ffff:127.0.0.1  ::ffff:7f00:1
::ffff:169.254.169.254  64:ff9b::7f00:1  64:ff9b::a9fe:a9fe  64:ff9b:1::1  100::1  2001::1
2001:10::1  2001:20::1  2001:db8::1  2002:7f00:1::  2002:a00:1::1  3fff::1  5f00::1  fc00::1
fd12:3456::1  fe80::1  fe80::1%eth0  [fe80::1%25eth0]  fec0::1  ff02::1  2001:0:7f00:1::1
2606:4700:4700::1111%1  [::1  ::1]  1:2:3  [8.8.8.8]
%31%32%37.0.0.1  a%2eb  a..b  .  a/b  a@b  a\\b  a?b  a#b  ©:
"""
WITH_BLANKS = ["", " ", "a b", "a\tb", "a\nb", "example.com\n", "a\0b"]


@pytest.mark.parametrize("host", PUBLIC.split())
def test_a_public_host_is_taken(host: str) -> None:
    assert is_public_host(host)


@pytest.mark.parametrize("host", [*NOT_PUBLIC.split(), *WITH_BLANKS, "x" * 64])
def test_a_host_that_is_not_public_is_refused_in_every_spelling(host: str) -> None:
    assert not is_public_host(host)


def test_a_teredo_address_is_public_when_its_server_and_its_client_are() -> None:
    # 8.8.8.8 as the server, 1.1.1.1 and 10.0.0.1 (inverted) as the clients
    assert is_public_address(ipaddress.ip_address("2001:0:808:808::fefe:fefe"))
    assert not is_public_address(ipaddress.ip_address("2001:0:808:808::f5ff:fffe"))
