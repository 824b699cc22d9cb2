"""The payment page's words. The gateway stands for somebody else's site, so they are not in our catalogues."""

from __future__ import annotations

from collections.abc import Mapping

_EN = {
    "title": "Sandbox Pay",
    "note": "This is a sandbox: no money moves.",
    "merchant": "Merchant",
    "subject": "For",
    "number": "Merchant number",
    "amount": "Amount",
    "pay": "Pay",
    "refuse": "Refuse",
    "back": "Back to the merchant",
    "paid": "This payment has been made.",
    "closed": "This payment was refused.",
    "refused_title": "This payment request cannot be accepted",
    "refused_text": "Its signature is wrong or it is too old. Go back to the merchant and start again.",
}
_ZH = {
    "title": "沙箱支付",
    "note": "这是沙箱环境，不会产生真实扣款。",
    "merchant": "商户",
    "subject": "商品",
    "number": "商户订单号",
    "amount": "金额",
    "pay": "支付",
    "refuse": "拒绝支付",
    "back": "返回商户",
    "paid": "该笔支付已完成。",
    "closed": "该笔支付已被拒绝。",
    "refused_title": "无法受理此支付请求",
    "refused_text": "签名不正确或请求已过期，请返回商户重新发起支付。",
}


def texts_for(locale: str) -> Mapping[str, str]:
    """The words in Chinese or English ("zh" or "en")."""
    return _ZH if locale == "zh" else _EN
